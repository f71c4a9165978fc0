import { Notification } from '@jupyterlab/apputils';
import { URLExt } from '@jupyterlab/coreutils';
import type { CommandRegistry } from '@lumino/commands';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { activeCellText, folderOf } from './around';
import type { IAround } from './around';
import * as rest from './client/rest';
import { askForAssistant, askForTitle, confirm, showConnect } from './dialogs';
import { interpreterIcon } from './icons';
import { fenced } from './model/fences';
import { fileName } from './model/format';
import { CommandIDs } from './tokens';
import type { ICodeInterpreter } from './tokens';

type Args = ReadonlyPartialJSONObject;

const NO_ARGS = { args: { type: 'object', properties: {} } } as const;

const THREAD_ARGS = {
  args: {
    type: 'object',
    properties: {
      thread: {
        type: 'string',
        description: 'Id of the thread; the one that is shown by default'
      }
    }
  }
} as const;

const PATH_ARGS = {
  args: {
    type: 'object',
    properties: {
      path: {
        type: 'string',
        description:
          'Path in the workspace; what is selected in the file browser by default'
      }
    }
  }
} as const;

/** Adds every action of the panel as a command. */
export function addCommands(
  around: IAround,
  interpreter: ICodeInterpreter
): void {
  const { commands } = around.app;
  const add = (id: string, options: CommandRegistry.ICommandOptions) => {
    commands.addCommand(id, { describedBy: NO_ARGS, ...options });
  };
  addThreadCommands(add, around, interpreter);
  addSessionCommands(add, around);
  addAssistantCommands(add, around);
  addAskCommands(add, around, interpreter);
  around.model.changed.connect(() => commands.notifyCommandChanged());
  around.model.session.changed.connect(() =>
    commands.notifyCommandChanged(CommandIDs.openConsole)
  );
}

type Add = (id: string, options: CommandRegistry.ICommandOptions) => void;

function addThreadCommands(
  add: Add,
  { app, model, browser, notebooks }: IAround,
  interpreter: ICodeInterpreter
): void {
  const { trans } = model;
  const threadOf = (args: Args) =>
    (args.thread as string | undefined) ?? model.thread.id;
  const named = (args: Args) => threadOf(args) !== null;
  const titleOf = (id: string) =>
    (id === model.thread.id ? model.title : model.rowOf(id)?.title) ?? '';

  add(CommandIDs.open, {
    label: trans.__('Open the Code Interpreter'),
    icon: interpreterIcon,
    execute: () => interpreter.show()
  });
  add(CommandIDs.newThread, {
    label: trans.__('New Thread'),
    execute: () => {
      interpreter.show();
      model.create();
    }
  });
  add(CommandIDs.showThreads, {
    label: trans.__('Show Threads'),
    execute: () => {
      interpreter.show();
      model.show('threads');
    }
  });
  add(CommandIDs.stop, {
    label: trans.__('Stop the Run'),
    isEnabled: () => model.thread.running !== undefined,
    execute: () => model.thread.stop()
  });
  add(CommandIDs.renameThread, {
    label: trans.__('Rename Thread…'),
    describedBy: THREAD_ARGS,
    isEnabled: named,
    execute: async args => {
      const id = threadOf(args)!;
      const row = model.rowOf(id);
      const title = await askForTitle(titleOf(id), trans);
      if (title === null) {
        return;
      }
      if (row) {
        await model.threads.rename(row, title);
      }
      if (id === model.thread.id) {
        await model.thread.rename(title);
      }
    }
  });
  add(CommandIDs.deleteThread, {
    label: trans.__('Delete Thread…'),
    describedBy: THREAD_ARGS,
    isEnabled: named,
    execute: async args => {
      const id = threadOf(args)!;
      const title = titleOf(id);
      const sure = await confirm(
        trans.__('Delete this thread?'),
        trans.__(
          '“%1” with its messages, its session and the files in its sandbox are deleted for good.',
          title || id
        ),
        trans.__('Delete')
      );
      if (sure) {
        await model.remove(id);
      }
    }
  });
  add(CommandIDs.exportNotebook, {
    label: trans.__('Make a Notebook of the Thread'),
    describedBy: THREAD_ARGS,
    isEnabled: named,
    execute: async args => {
      const folder = folderOf({ app, model, browser, notebooks });
      const saved = await rest.exportNotebook(
        model.serverSettings,
        threadOf(args)!,
        URLExt.join(folder, `${fileName(titleOf(threadOf(args)!))}.ipynb`)
      );
      await app.commands.execute('docmanager:open', { path: saved.path });
    }
  });
}

function addSessionCommands(add: Add, { app, model }: IAround): void {
  const { trans, session } = model;
  add(CommandIDs.openConsole, {
    label: trans.__('Open a Console in This Session'),
    isEnabled: () => Boolean(session.session?.kernel_id),
    execute: () =>
      app.commands.execute('console:create', {
        kernelPreference: {
          id: session.session!.kernel_id,
          shutdownOnDispose: false
        },
        insertMode: 'split-bottom',
        activate: true
      })
  });
  add(CommandIDs.restartSession, {
    label: trans.__('Restart the Session…'),
    isEnabled: () => session.isAlive,
    execute: async () => {
      const sure = await confirm(
        trans.__('Restart the session?'),
        trans.__('Variables are lost, files are kept.'),
        trans.__('Restart')
      );
      if (sure) {
        await session.restart();
      }
    }
  });
  add(CommandIDs.closeSession, {
    label: trans.__('Shut Down the Session'),
    isEnabled: () => session.isAlive,
    execute: async () => {
      await session.close();
      Notification.info(
        trans.__('The session was shut down. Its files are kept.'),
        { autoClose: 4000 }
      );
    }
  });
  add(CommandIDs.showIsolation, {
    label: trans.__('Show What Isolates the Code'),
    execute: () => model.openSession(true)
  });
}

function addAssistantCommands(add: Add, { model }: IAround): void {
  const { trans } = model;
  add(CommandIDs.connectModel, {
    label: trans.__('Connect a Model…'),
    execute: () => showConnect(model.status?.local_models ?? [], trans)
  });
  add(CommandIDs.newAssistant, {
    label: trans.__('New Assistant…'),
    execute: async () => {
      const { instructions } = model.preferences;
      const fields = await askForAssistant(
        trans.__('New assistant'),
        { name: '', instructions, model: model.model },
        model.models,
        trans
      );
      if (fields) {
        await model.saveAssistant(null, fields);
      }
    }
  });
  add(CommandIDs.deleteAssistant, {
    label: trans.__('Delete the Assistant…'),
    isEnabled: () => model.assistant !== null,
    execute: async () => {
      const { id, name } = model.assistant!;
      const sure = await confirm(
        trans.__('Delete this assistant?'),
        trans.__(
          '“%1” with its instructions is deleted for good. Its threads stay.',
          name || id
        ),
        trans.__('Delete')
      );
      if (sure) {
        await model.removeAssistant(id);
      }
    }
  });
  add(CommandIDs.editAssistant, {
    label: trans.__('Edit the Assistant…'),
    isEnabled: () => model.assistant !== null,
    execute: async () => {
      const assistant = model.assistant!;
      const fields = await askForAssistant(
        trans.__('Edit the assistant'),
        {
          name: assistant.name ?? '',
          instructions: assistant.instructions ?? '',
          model: assistant.model
        },
        model.models,
        trans
      );
      if (fields) {
        await model.saveAssistant(assistant.id, fields);
      }
    }
  });
}

function addAskCommands(
  add: Add,
  { model, browser, notebooks }: IAround,
  interpreter: ICodeInterpreter
): void {
  const { trans } = model;
  add(CommandIDs.askFile, {
    label: trans.__('Ask the Code Interpreter about This File'),
    icon: interpreterIcon,
    describedBy: PATH_ARGS,
    execute: args => {
      const selected = [...(browser?.selectedItems() ?? [])]
        .filter(({ type }) => type !== 'directory')
        .map(({ path }) => path);
      const paths = args.path ? [args.path as string] : selected;
      interpreter.ask('', paths);
    }
  });
  add(CommandIDs.askCell, {
    label: trans.__('Ask the Code Interpreter about This Cell'),
    icon: interpreterIcon,
    isEnabled: () => Boolean(notebooks?.activeCell),
    execute: () => {
      const cell = activeCellText(notebooks);
      if (cell) {
        interpreter.ask(fenced(cell.code, 'python'));
      }
    }
  });
  add(CommandIDs.askError, {
    label: trans.__('Ask the Code Interpreter about This Error'),
    icon: interpreterIcon,
    isEnabled: () => Boolean(activeCellText(notebooks)?.error),
    isVisible: () => Boolean(activeCellText(notebooks)?.error),
    execute: () => {
      const cell = activeCellText(notebooks);
      if (cell) {
        interpreter.ask(
          `${trans.__('What is wrong here, and how do I mend it?')}\n\n` +
            `${fenced(cell.code, 'python')}\n${fenced(cell.error, 'text')}`
        );
      }
    }
  });
}
