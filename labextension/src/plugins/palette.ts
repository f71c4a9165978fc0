import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';

import { CommandIDs, ICodeInterpreter } from '../tokens';

/** Lists the commands in the palette. */
export const palettePlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ci-ext:palette',
  description: 'The commands of the code interpreter in the palette.',
  autoStart: true,
  requires: [ICodeInterpreter],
  optional: [ICommandPalette],
  activate: (
    _app: JupyterFrontEnd,
    interpreter: ICodeInterpreter,
    palette: ICommandPalette | null
  ) => {
    const category = interpreter.model.trans.__('Code Interpreter');
    for (const command of Object.values(CommandIDs)) {
      palette?.addItem({ command, category });
    }
  }
};
