import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { IRunningSessionManagers } from '@jupyterlab/running';
import type { IRunningSessions } from '@jupyterlab/running';
import { Poll } from '@lumino/polling';
import { Signal } from '@lumino/signaling';

import * as rest from '../client/rest';
import { interpreterIcon } from '../icons';
import { bytes } from '../model/format';
import { ICodeInterpreter } from '../tokens';
import type { ISession } from '../wire';

/** The sessions in Lab's panel of what is running. */
export const runningPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ci-ext:running',
  description: 'The sessions of the code interpreter among what is running.',
  autoStart: true,
  requires: [ICodeInterpreter],
  optional: [IRunningSessionManagers], // pages of Jupyter Notebook are without
  activate: (
    app: JupyterFrontEnd,
    interpreter: ICodeInterpreter,
    managers: IRunningSessionManagers | null
  ) => {
    managers?.add(new Sessions(app, interpreter));
  }
};

class Sessions implements IRunningSessions.IManager {
  constructor(
    app: JupyterFrontEnd,
    private readonly _interpreter: ICodeInterpreter
  ) {
    const { trans } = _interpreter.model;
    this.name = trans.__('Code Interpreter');
    this.shutdownLabel = trans.__('Shut down the session');
    this.shutdownAllLabel = trans.__('Shut Down All');
    this.shutdownAllConfirmationText = trans.__(
      'Shut down all sessions of the code interpreter? Files are kept, variables are lost.'
    );
    this._poll = new Poll({
      name: 'code-interpreter:sessions',
      factory: () => this._refresh(),
      frequency: { interval: 10000, backoff: true, max: 300000 },
      standby: 'when-hidden'
    });
    _interpreter.model.session.changed.connect(() => this._noticed());
    void app.restored.then(() => this._poll.start());
  }

  readonly name: string;
  readonly shutdownLabel: string;
  readonly shutdownAllLabel: string;
  readonly shutdownAllConfirmationText: string;

  get runningChanged(): Signal<this, void> {
    return this._changed;
  }

  running(): IRunningSessions.IRunningItem[] {
    return this._sessions.map(session => this._item(session));
  }

  shutdownAll(): void {
    this._sessions.forEach(({ thread_id }) => this._close(thread_id));
  }

  refreshRunning(): void {
    void this._poll.refresh();
  }

  private _item(session: ISession): IRunningSessions.IRunningItem {
    const { model } = this._interpreter;
    const id = session.thread_id;
    const used = session.usage?.memory_bytes;
    return {
      icon: () => interpreterIcon,
      label: () =>
        model.rowOf(id)?.title ||
        (model.thread.id === id && model.title) ||
        this._titles.get(id) ||
        id,
      detail: () => (used ? bytes(used) : session.state),
      labelTitle: () => id,
      open: () => {
        this._interpreter.show();
        void model.open(id);
      },
      shutdown: () => this._close(id)
    };
  }

  private _close(thread: string): void {
    rest
      .closeSession(this._interpreter.model.serverSettings, thread)
      .catch(() => undefined)
      .finally(() => this.refreshRunning());
  }

  /** The panel saw a session begin or end: no need to wait for the next poll. */
  private _noticed(): void {
    const alive = this._interpreter.model.session.isAlive;
    if (alive !== this._wasAlive) {
      this._wasAlive = alive;
      this.refreshRunning();
    }
  }

  private async _refresh(): Promise<void> {
    const settings = this._interpreter.model.serverSettings;
    this._sessions = (await rest.listSessions(settings)).data;
    if (this._sessions.some(({ thread_id }) => !this._titles.has(thread_id))) {
      const rows = await rest.listThreads(settings, { limit: 100 });
      rows.data.forEach(row => this._titles.set(row.id, row.title));
    }
    this._changed.emit();
  }

  private _sessions: ISession[] = [];
  private _titles = new Map<string, string>();
  private _wasAlive = false;
  private _poll: Poll<void, unknown>;
  private _changed = new Signal<this, void>(this);
}
