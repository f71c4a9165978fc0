import * as React from 'react';

import { serverName } from '../model/words';
import { TextButton } from './parts';
import { useServices, useSignals } from './services';

/** The first thing one sees: what this is, and three ways to begin. */
export function Empty(): JSX.Element {
  const { model, trans } = useServices();
  useSignals(model.changed);
  const examples = [
    trans.__('Solve 3x + 11 = 14 and show the steps'),
    trans.__('Simulate 10,000 dice throws and plot them')
  ];
  return (
    <div className="jp-CIEmpty">
      <h3>{trans.__('Ask about your data')}</h3>
      <p>
        {trans.__(
          'The assistant writes Python and runs it in a sandbox on this server: no network, only the files you give it.'
        )}
      </p>
      <TableExample />
      {examples.map(example => (
        <Example
          key={example}
          label={example}
          onClick={() => model.insert(example)}
        />
      ))}
      {model.status !== null && model.isDemo && <DemoNotice />}
    </div>
  );
}

function Example(props: { label: string; onClick: () => void }): JSX.Element {
  return (
    <button type="button" className="jp-CIExample" onClick={props.onClick}>
      {props.label}
    </button>
  );
}

/** A table that is at hand, else one that is picked from this computer. */
function TableExample(): JSX.Element {
  const { model, trans, actions } = useServices();
  const { suggestion, attachments } = model;
  const ask = trans.__('Profile this table and chart it');
  if (suggestion === null) {
    return (
      <Example
        label={trans.__('Profile and chart a table from this computer')}
        onClick={() => {
          model.insert(ask);
          actions.pickFiles();
        }}
      />
    );
  }
  return (
    <Example
      label={trans.__('Profile and chart %1', suggestion.name)}
      onClick={() => {
        void attachments.attach(suggestion.path);
        model.insert(ask);
      }}
    />
  );
}

/** Says that no AI answers, and how to get one. */
function DemoNotice(): JSX.Element {
  const { model, trans, actions } = useServices();
  const server = model.status?.local_models?.[0];
  const first = server?.models[0];
  return (
    <div className="jp-CINotice" data-tone="warning" role="note">
      <b>{trans.__('Demo model, not AI.')}</b>{' '}
      {trans.__(
        'It profiles tables, draws charts and runs code you write. Connect a real model to ask anything.'
      )}{' '}
      {server &&
        trans.__('%1 answers on this machine.', serverName(server.name, trans))}
      <div className="jp-CINotice-deeds">
        {first && (
          <TextButton
            label={trans.__('Use %1', first)}
            onClick={() => model.choose({ model: first })}
          />
        )}
        <TextButton
          label={trans.__('Connect a model')}
          onClick={() => actions.deed('connect')}
        />
      </div>
    </div>
  );
}
