import * as React from 'react';

import { TextButton } from './parts';
import { useServices } from './services';

/** The first thing one sees: what this is, and three ways to begin. */
export function Empty(): JSX.Element {
  const { model, trans, actions } = useServices();
  const examples = [
    trans.__('Profile and chart a table I attach'),
    trans.__('Solve 3x + 11 = 14 and show the steps'),
    trans.__('Simulate 10,000 dice throws and plot them')
  ];
  const local = model.status?.local_models ?? [];
  return (
    <div className="jp-CIEmpty">
      <h3>{trans.__('Ask about your data')}</h3>
      <p>
        {trans.__(
          'The assistant writes Python and runs it in a sandbox on this server: no network, only the files you give it.'
        )}
      </p>
      {examples.map(example => (
        <button
          key={example}
          type="button"
          className="jp-CIExample"
          onClick={() => model.insert(example)}
        >
          {example}
        </button>
      ))}
      {model.status !== null && model.isDemo && (
        <div className="jp-CINotice" data-tone="warning" role="note">
          <b>{trans.__('Demo model, not AI.')}</b>{' '}
          {trans.__(
            'It profiles tables, draws charts and runs code you write. Connect a real model to ask anything.'
          )}
          <div className="jp-CINotice-deeds">
            <TextButton
              label={trans.__('Connect a model')}
              onClick={() => actions.deed('connect')}
            />
            {local.length > 0 && <span>{local.join(', ')}</span>}
          </div>
        </div>
      )}
    </div>
  );
}
