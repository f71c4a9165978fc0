/**
 * What the panel does in the application around it: notebooks, files, menus, notifications.
 */
import type { JupyterFrontEnd } from '@jupyterlab/application';
import { Clipboard, Notification } from '@jupyterlab/apputils';
import type { ICodeCellModel } from '@jupyterlab/cells';
import type { IDefaultFileBrowser } from '@jupyterlab/filebrowser';
import type { INotebookTracker } from '@jupyterlab/notebook';
import { NotebookActions } from '@jupyterlab/notebook';
import type { Contents } from '@jupyterlab/services';
import { Menu } from '@lumino/widgets';
import type * as React from 'react';

import { fenced } from './model/fences';
import { plain } from './model/logs';
import type { PanelModel } from './model/panel';
import type { Deed } from './model/words';
import { CommandIDs } from './tokens';
import type { IActions, IMention } from './view/services';

export interface IAround {
  app: JupyterFrontEnd;
  model: PanelModel;
  notebooks: INotebookTracker | null;
  browser: IDefaultFileBrowser | null;
}

/** The actions of the panel's buttons. */
export function actionsOf(around: IAround): IActions {
  const { app, model, notebooks } = around;
  const { trans } = model;
  const { commands } = app;
  const openPath = async (path: string) => {
    await commands.execute('docmanager:open', { path });
  };
  return {
    copy: text => Clipboard.copyToSystem(text),
    insertCell: notebooks && (code => insertCell(around, code)),
    openPath,
    saveFile: async id => {
      try {
        const { path } = await model.files.save(id, folderOf(around));
        Notification.success(trans.__('Saved as %1', path), {
          autoClose: 5000,
          actions: [
            { label: trans.__('Open'), callback: () => void openPath(path) }
          ]
        });
      } catch (error) {
        complain(error);
      }
    },
    openFile: async id => {
      try {
        const saved = await model.files.saved(id, folderOf(around));
        await openPath(saved.path);
      } catch (error) {
        complain(error);
      }
    },
    pickFiles: () => {
      document
        .querySelector<HTMLElement>('.jp-CIComposer input[type="file"]')
        ?.click();
    },
    run: (command, args) => {
      commands.execute(command, args).catch(complain);
    },
    menu: event => openMenu(around, event),
    mentions: () => mentionsOf(around),
    deed: deed => void perform(around, deed).catch(complain)
  };
}

/** Tells of a failure where the panel has no place of its own for it. */
export function complain(error: unknown): void {
  Notification.error(error instanceof Error ? error.message : String(error), {
    autoClose: 8000
  });
}

/** Where files are saved: the folder of the settings, else the one that is open. */
export function folderOf({ model, browser }: IAround): string {
  return model.preferences.saveFolder || (browser?.model.path ?? '');
}

async function perform(around: IAround, deed: Deed): Promise<void> {
  const { app, model } = around;
  const { trans, thread } = model;
  switch (deed) {
    case 'retry':
      return thread.run(() => model.runOptions());
    case 'continue':
      await thread.send(trans.__('Go on.'), [], () => model.runOptions());
      return;
    case 'lean':
      await thread.send(
        trans.__(
          'That needed more memory than there is. Do it again in a way that needs less, for example in pieces.'
        ),
        [],
        () => model.runOptions()
      );
      return;
    case 'connect':
      return app.commands.execute(CommandIDs.connectModel);
    case 'models':
      pickModel(document.querySelector<HTMLSelectElement>('.jp-CIPicker'));
      return;
    case 'new-thread':
      return model.create();
    case 'isolation':
      return model.openSession(true);
    case 'reload':
      return model.reload();
  }
}

/** Unfolds the list of models where the browser can, else puts the focus there. */
function pickModel(picker: HTMLSelectElement | null): void {
  picker?.focus();
  try {
    picker?.showPicker();
  } catch {
    // Not without a click just before.
  }
}

/** A table in the folder that the file browser shows, the one changed last; null for none. */
export function tableIn(browser: IDefaultFileBrowser): string | null {
  let newest: Contents.IModel | null = null;
  for (const item of browser.model.items()) {
    const isTable = item.type === 'file' && TABLES.test(item.name);
    if (isTable && (!newest || item.last_modified > newest.last_modified)) {
      newest = item;
    }
  }
  return newest?.path ?? null;
}

const TABLES = /\.(csv|tsv|xlsx|parquet)$/i;

function insertCell({ notebooks, app, model }: IAround, code: string): void {
  const panel = notebooks?.currentWidget;
  if (!panel) {
    Notification.info(model.trans.__('Open a notebook first.'), {
      autoClose: 3000
    });
    return;
  }
  const { content } = panel;
  NotebookActions.insertBelow(content);
  content.activeCell?.model.sharedModel.setSource(code);
  app.shell.activateById(panel.id);
}

function openMenu({ app, model }: IAround, event: React.MouseEvent): void {
  const menu = new Menu({ commands: app.commands });
  const named = model.thread.id !== null;
  if (named) {
    menu.addItem({ command: CommandIDs.renameThread });
    menu.addItem({ command: CommandIDs.exportNotebook });
    menu.addItem({ command: CommandIDs.deleteThread });
    menu.addItem({ type: 'separator' });
  }
  menu.addItem({ command: CommandIDs.openConsole });
  menu.addItem({ command: CommandIDs.restartSession });
  menu.addItem({ command: CommandIDs.closeSession });
  menu.addItem({ command: CommandIDs.showIsolation });
  menu.addItem({ type: 'separator' });
  menu.addItem({ command: CommandIDs.editAssistant });
  menu.addItem({ command: CommandIDs.newAssistant });
  menu.addItem({ command: CommandIDs.deleteAssistant });
  menu.addItem({ command: CommandIDs.connectModel });
  if (app.commands.hasCommand('settingeditor:open')) {
    menu.addItem({
      command: 'settingeditor:open',
      args: { query: 'Code Interpreter', label: model.trans.__('Settings…') }
    });
  }
  const button = event.currentTarget as HTMLElement;
  const { right, bottom } = button.getBoundingClientRect();
  menu.aboutToClose.connect(() => button.focus());
  menu.open(right, bottom, { horizontalAlignment: 'right' });
}

/** A cell with its failure as text for a message; null where there is no notebook. */
export function activeCellText(
  notebooks: INotebookTracker | null
): { code: string; error: string } | null {
  const cell = notebooks?.activeCell;
  if (!cell) {
    return null;
  }
  const code = cell.model.sharedModel.getSource();
  let error = '';
  if (cell.model.type === 'code') {
    for (const output of (cell.model as ICodeCellModel).outputs.toJSON()) {
      if (output.output_type === 'error') {
        error = plain((output.traceback as string[]).join('\n'));
      }
    }
  }
  return { code, error };
}

function mentionsOf({ model, notebooks, browser }: IAround): IMention[] {
  const { trans, attachments } = model;
  const found: IMention[] = [];
  const cell = activeCellText(notebooks);
  const add = (label: string, hint: string, apply: IMention['apply']) =>
    found.push({ id: `${hint} ${label}`, label, hint, apply });
  if (cell) {
    add(
      trans.__('cell'),
      trans.__('the active cell'),
      () => `\n${fenced(cell.code, 'python')}`
    );
    if (cell.error) {
      add(
        trans.__('error'),
        trans.__('the error of the active cell'),
        () => `\n${fenced(cell.code, 'python')}\n${fenced(cell.error, 'text')}`
      );
    }
  }
  const attach = (path: string) => () => {
    void attachments.attach(path);
    return path.split('/').pop() ?? path;
  };
  notebooks?.forEach(({ context }) => {
    add(context.path, trans.__('notebook'), attach(context.path));
  });
  if (browser) {
    const { model: contents } = browser;
    for (const item of contents.items()) {
      if (item.type === 'file') {
        add(item.name, trans.__('file'), attach(item.path));
      }
    }
  }
  return found;
}
