import { Token } from '@lumino/coreutils';

import type { PanelModel } from './model/panel';

/**
 * The code interpreter's panel, for plugins that bring something into it.
 */
export interface ICodeInterpreter {
  readonly model: PanelModel;

  /** Shows the panel and puts the cursor into the message. */
  show(): void;

  /** Shows the panel with a text in the message and files of the workspace attached. */
  ask(text: string, paths?: readonly string[]): void;
}

export const ICodeInterpreter = new Token<ICodeInterpreter>(
  'jupyter-ci-ext:ICodeInterpreter',
  'The panel of the code interpreter.'
);

/** The commands; each is in the palette under "Code Interpreter". */
export namespace CommandIDs {
  export const open = 'code-interpreter:open';
  export const newThread = 'code-interpreter:new-thread';
  export const showThreads = 'code-interpreter:show-threads';
  export const renameThread = 'code-interpreter:rename-thread';
  export const deleteThread = 'code-interpreter:delete-thread';
  export const stop = 'code-interpreter:stop';
  export const openConsole = 'code-interpreter:open-console';
  export const exportNotebook = 'code-interpreter:export-notebook';
  export const restartSession = 'code-interpreter:restart-session';
  export const closeSession = 'code-interpreter:close-session';
  export const showIsolation = 'code-interpreter:show-isolation';
  export const newAssistant = 'code-interpreter:new-assistant';
  export const editAssistant = 'code-interpreter:edit-assistant';
  export const deleteAssistant = 'code-interpreter:delete-assistant';
  export const connectModel = 'code-interpreter:connect-model';
  export const askFile = 'code-interpreter:ask-file';
  export const askCell = 'code-interpreter:ask-cell';
  export const askError = 'code-interpreter:ask-error';
}
