import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ILayoutRestorer } from '@jupyterlab/application';
import { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { actionsOf, complain, tableIn } from '../around';
import type { IAround } from '../around';
import { addCommands } from '../commands';
import { interpreterIcon } from '../icons';
import { PanelModel } from '../model/panel';
import type { IMemory } from '../model/panel';
import { DEFAULTS } from '../model/preferences';
import type { IPreferences } from '../model/preferences';
import { installHighlightStyle } from '../render/highlight';
import { ICodeInterpreter } from '../tokens';
import type { IServices } from '../view/services';
import { CodeInterpreterPanel } from '../widget';

const ID = 'jupyter-ci-ext:panel';

/** The panel itself, with its commands. */
export const panelPlugin: JupyterFrontEndPlugin<ICodeInterpreter> = {
  id: ID,
  description: 'The panel of the code interpreter.',
  autoStart: true,
  provides: ICodeInterpreter,
  requires: [IRenderMimeRegistry],
  optional: [
    IEditorLanguageRegistry,
    INotebookTracker,
    IDefaultFileBrowser,
    ISettingRegistry,
    IStateDB,
    ILayoutRestorer,
    ITranslator
  ],
  activate: (
    app: JupyterFrontEnd,
    rendermime: IRenderMimeRegistry,
    languages: IEditorLanguageRegistry | null,
    notebooks: INotebookTracker | null,
    browser: IDefaultFileBrowser | null,
    settings: ISettingRegistry | null,
    state: IStateDB | null,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ): ICodeInterpreter => {
    const trans = (translator ?? nullTranslator).load('jupyter_ci_ext');
    const model = new PanelModel({
      serverSettings: app.serviceManager.serverSettings,
      trans,
      isHidden: () => !panel.isVisible,
      remember: memory => void state?.save(ID, { ...memory })
    });
    const around: IAround = { app, model, notebooks, browser };
    const services: IServices = {
      model,
      trans,
      translator: translator ?? nullTranslator,
      rendermime,
      languages,
      actions: actionsOf(around)
    };
    const panel = new CodeInterpreterPanel(services, () => {
      installHighlightStyle();
      void start().catch(complain);
    });
    panel.id = 'jupyter-ci-ext-panel';
    panel.title.icon = interpreterIcon;
    panel.title.caption = trans.__('Code Interpreter');
    panel.node.setAttribute('role', 'region');
    panel.node.setAttribute('aria-label', trans.__('Code Interpreter'));
    panel.disposed.connect(() => model.dispose());

    const suggest = () => model.suggest(browser && tableIn(browser));
    browser?.model.refreshed.connect(suggest);
    panel.disposed.connect(() => browser?.model.refreshed.disconnect(suggest));
    suggest();

    const configured = settings ? follow(settings, model) : Promise.resolve();
    const start = async () => {
      await configured;
      const memory = (await state?.fetch(ID)) as IMemory | undefined;
      await model.start(memory ?? {});
    };

    app.shell.add(panel, 'right', { rank: 300, type: 'Code Interpreter' });
    restorer?.add(panel, panel.id);

    const interpreter: ICodeInterpreter = {
      model,
      show: () => {
        app.shell.activateById(panel.id);
      },
      ask: (text, paths = []) => {
        interpreter.show();
        paths.forEach(path => void model.attachments.attach(path));
        model.insert(text);
        panel.focusMessage();
      }
    };
    addCommands(around, interpreter);
    return interpreter;
  }
};

/** Keeps the model's preferences what the settings say. */
async function follow(
  registry: ISettingRegistry,
  model: PanelModel
): Promise<void> {
  try {
    const settings = await registry.load(ID);
    const update = () =>
      model.setPreferences({
        ...DEFAULTS,
        ...(settings.composite as Partial<IPreferences>)
      });
    settings.changed.connect(update);
    update();
  } catch (error) {
    console.warn('The settings of the code interpreter are not there.', error);
  }
}
