/**
 * What is asked in a dialog.
 */
import { Dialog, InputDialog, showDialog } from '@jupyterlab/apputils';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { serverName } from './model/words';
import type { ILocalModels, IModelInfo } from './wire';

export interface IAssistantFields {
  name: string;
  instructions: string;
  model: string;
}

/** Name, model and instructions of an assistant, in a form. */
class AssistantForm
  extends ReactWidget
  implements Dialog.IBodyWidget<IAssistantFields>
{
  constructor(
    private readonly _fields: IAssistantFields,
    private readonly _models: readonly IModelInfo[],
    private readonly _trans: TranslationBundle
  ) {
    super();
    this.addClass('jp-CIAssistantForm');
  }

  getValue(): IAssistantFields {
    return { ...this._fields };
  }

  render(): JSX.Element {
    const fields = this._fields;
    const trans = this._trans;
    return (
      <>
        <label>
          {trans.__('Name')}
          <input
            className="jp-mod-styled"
            defaultValue={fields.name}
            maxLength={256}
            onChange={event => (fields.name = event.target.value)}
          />
        </label>
        <label>
          {trans.__('Model')}
          <select
            className="jp-mod-styled"
            defaultValue={fields.model}
            onChange={event => (fields.model = event.target.value)}
          >
            {this._models.map(({ id }) => (
              <option key={id} value={id}>
                {id}
              </option>
            ))}
          </select>
        </label>
        <label>
          {trans.__('Instructions')}
          <textarea
            className="jp-mod-styled"
            rows={8}
            defaultValue={fields.instructions}
            onChange={event => (fields.instructions = event.target.value)}
          />
        </label>
      </>
    );
  }
}

/** Asks for an assistant's fields; null when it was given up. */
export async function askForAssistant(
  title: string,
  fields: IAssistantFields,
  models: readonly IModelInfo[],
  trans: TranslationBundle
): Promise<IAssistantFields | null> {
  const result = await showDialog({
    title,
    body: new AssistantForm({ ...fields }, models, trans),
    buttons: [
      Dialog.cancelButton(),
      Dialog.okButton({ label: trans.__('Save') })
    ]
  });
  return result.button.accept ? result.value : null;
}

/** Asks for a title; null when it was given up or left empty. */
export async function askForTitle(
  old: string,
  trans: TranslationBundle
): Promise<string | null> {
  const { button, value } = await InputDialog.getText({
    title: trans.__('Rename the thread'),
    label: trans.__('Title'),
    text: old
  });
  return button.accept && value?.trim() ? value.trim().slice(0, 512) : null;
}

export async function confirm(
  title: string,
  body: string,
  label: string
): Promise<boolean> {
  const { button } = await showDialog({
    title,
    body,
    buttons: [Dialog.cancelButton(), Dialog.warnButton({ label })]
  });
  return button.accept;
}

/** Says how a real model is connected. */
export async function showConnect(
  local: readonly ILocalModels[],
  trans: TranslationBundle
): Promise<void> {
  const address = local[0]?.base_url ?? 'http://127.0.0.1:11434/v1';
  const remote = 'export OPENAI_API_KEY=sk-…\njupyter lab';
  const onMachine = `export OPENAI_BASE_URL=${address}\nexport OPENAI_API_KEY=unused\njupyter lab`;
  const config =
    'c.ModelProvider.base_url = "…"\nc.ModelProvider.default_model = "…"';
  const body = (
    <div className="jp-CIConnect">
      {local.map(({ name, base_url, models }) => (
        <p key={base_url}>
          {trans.__(
            '%1 answers at %2. Its models can be picked below the message as they are: %3.',
            serverName(name, trans),
            base_url,
            models.slice(0, 5).join(', ')
          )}
        </p>
      ))}
      <p>
        {trans.__(
          'Models are connected where the Jupyter server is started. Any server that speaks the chat completions API will do. Set these and start Jupyter again:'
        )}
      </p>
      <pre>{remote}</pre>
      <p>{trans.__('A model on this machine, for example Ollama:')}</p>
      <pre>{onMachine}</pre>
      <p>{trans.__('Or in jupyter_ci_ext_config.py:')}</p>
      <pre>{config}</pre>
    </div>
  );
  await showDialog({
    title: trans.__('Connect a model'),
    body,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}
