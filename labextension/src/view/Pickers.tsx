import * as React from 'react';

import { useServices } from './services';

const EDIT = '\u0000edit';
const NEW = '\u0000new';

/** Which model and which assistant answer. */
export function Pickers(): JSX.Element {
  const { model, trans, actions } = useServices();
  const { assistant, assistants } = model;
  const known = model.models.some(({ id }) => id === model.model);
  return (
    <>
      <select
        className="jp-CIPicker"
        aria-label={trans.__('Model')}
        title={trans.__('Model')}
        value={model.model}
        onChange={event => model.choose({ model: event.target.value })}
      >
        {!known && <option value={model.model}>{model.model || '…'}</option>}
        {model.models.map(({ id }) => (
          <option key={id} value={id}>
            {id === 'demo' ? trans.__('demo (not AI)') : id}
          </option>
        ))}
      </select>
      <select
        className="jp-CIPicker"
        aria-label={trans.__('Assistant')}
        title={trans.__('Assistant')}
        value={assistant?.id ?? ''}
        onChange={event => {
          const { value } = event.target;
          if (value === EDIT || value === NEW) {
            actions.run(
              value === EDIT
                ? 'code-interpreter:edit-assistant'
                : 'code-interpreter:new-assistant'
            );
          } else {
            model.choose({ assistant: value });
          }
        }}
      >
        {assistant === null && (
          <option value="">{trans.__('Data analyst')}</option>
        )}
        {assistants.map(({ id, name }) => (
          <option key={id} value={id}>
            {name || id}
          </option>
        ))}
        <optgroup label="─────">
          {assistant !== null && (
            <option value={EDIT}>{trans.__('Edit instructions…')}</option>
          )}
          <option value={NEW}>{trans.__('New assistant…')}</option>
        </optgroup>
      </select>
    </>
  );
}
