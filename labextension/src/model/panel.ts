/**
 * All that the panel shows, and all that can be done in it. No React.
 */
import type { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as rest from '../client/rest';
import type { Assistant, IModelInfo, IStatus, IThreadRow } from '../wire';
import { Attachments } from './attachments';
import { fenced } from './fences';
import { FilesModel } from './files';
import { bytes } from './format';
import type { IPreferences } from './preferences';
import { DEFAULTS } from './preferences';
import { SessionModel } from './session';
import { isUnanswered, ThreadModel } from './thread';
import type { IRunOptions } from './thread';
import { ThreadsModel } from './threads';

/** What is remembered from one visit to the next. */
export interface IMemory {
  thread?: string;
  assistant?: string;
  model?: string;
}

export interface IPanelOptions {
  serverSettings: ServerConnection.ISettings;
  trans: TranslationBundle;
  isHidden: () => boolean;
  remember: (memory: IMemory) => void;
}

/** The mark of the assistant that the panel makes for itself. */
const OWN = { made_by: 'jupyter-ci-ext panel' };

export class PanelModel implements IDisposable {
  constructor(private readonly _options: IPanelOptions) {
    const { serverSettings, isHidden } = _options;
    this.trans = _options.trans;
    this.files = new FilesModel(serverSettings);
    this.attachments = new Attachments(serverSettings, size => {
      const limit = this.status?.limits.upload_bytes;
      return typeof limit === 'number' && size > limit
        ? this.trans.__('larger than %1, which is the limit', bytes(limit))
        : '';
    });
    this.threads = new ThreadsModel(serverSettings, () => {
      return isHidden() || this.view !== 'threads';
    });
    this.session = new SessionModel(serverSettings, () => {
      return isHidden() || this.view !== 'thread';
    });
    this.thread = this._hold(new ThreadModel(serverSettings, null));
    this.session.changed.connect(() => this._watchConnection());
  }

  readonly trans: TranslationBundle;
  readonly files: FilesModel;
  readonly attachments: Attachments;
  readonly threads: ThreadsModel;
  readonly session: SessionModel;

  thread: ThreadModel;
  view: 'thread' | 'threads' = 'thread';
  status: IStatus | null = null;
  /** Why the server's status is not known. */
  statusError: unknown = null;
  assistants: Assistant[] = [];
  preferences: IPreferences = DEFAULTS;
  /** A table of the workspace that could be asked about. */
  suggestion: { name: string; path: string } | null = null;
  /** Whether the details of the session are unfolded. */
  sessionOpen = false;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted with text that is to be put into the composer. */
  get inserted(): ISignal<this, string> {
    return this._inserted;
  }

  get serverSettings(): ServerConnection.ISettings {
    return this._options.serverSettings;
  }

  get models(): IModelInfo[] {
    return this.status?.models.data ?? [];
  }

  /** The assistant that answers; null for the panel's own, made at its first use. */
  get assistant(): Assistant | null {
    const chosen = this._memory.assistant;
    return this.assistants.find(({ id }) => id === chosen) ?? this._own ?? null;
  }

  /** The model that answers next. */
  get model(): string {
    const { model } = this._memory;
    if (model && (this.models.length === 0 || this._knows(model))) {
      return model;
    }
    const { assistant } = this;
    const own = assistant === null || assistant === this._own;
    return own
      ? (this.status?.models.default ?? assistant?.model ?? '')
      : assistant.model;
  }

  get isDemo(): boolean {
    return this.model === 'demo';
  }

  /** What was typed and not sent, for the thread that is shown. */
  get draft(): string {
    return this._drafts.get(this.thread.id ?? '') ?? '';
  }

  set draft(text: string) {
    this._drafts.set(this.thread.id ?? '', text);
  }

  /** Asks the server for what it offers, and opens the thread of the last visit. */
  async start(memory: IMemory): Promise<void> {
    this._memory = memory;
    const known = this.refresh();
    if (memory.thread && this.preferences.restoreThread) {
      await this.open(memory.thread);
      // It may have been deleted elsewhere; that is no news worth a notice.
      if ((this.thread.error as { status?: number } | null)?.status === 404) {
        this.create();
      }
    }
    await known;
  }

  /** Asks again for the server's status, its models and its assistants. */
  async refresh(): Promise<void> {
    try {
      const [status, assistants] = await Promise.all([
        rest.getStatus(this.serverSettings),
        rest.listAssistants(this.serverSettings)
      ]);
      this.status = status;
      this.assistants = assistants.data;
      this.statusError = null;
      if (status.isolation === null) {
        this._changed.emit();
        // Measuring what this host can do takes a moment, once.
        this.status = await rest.getStatus(this.serverSettings, true);
      }
    } catch (error) {
      this.statusError = error;
    }
    this._changed.emit();
  }

  suggest(path: string | null): void {
    if (path !== (this.suggestion?.path ?? null)) {
      this.suggestion =
        path === null ? null : { path, name: path.split('/').pop() ?? path };
      this._changed.emit();
    }
  }

  openSession(open: boolean): void {
    this.sessionOpen = open;
    this._changed.emit();
  }

  /** Tries again what could not be fetched. */
  async reload(): Promise<void> {
    const { thread } = this;
    thread.dismissError();
    await this.refresh();
    if (thread.id !== null && !thread.busy) {
      await thread.load();
    }
  }

  show(view: 'thread' | 'threads'): void {
    this.view = view;
    if (view === 'threads') {
      void this.threads.refresh().catch(() => undefined);
    } else {
      this.threads.stop();
    }
    this._changed.emit();
  }

  async open(id: string): Promise<void> {
    if (this.thread.id !== id) {
      this._replace(new ThreadModel(this.serverSettings, id));
      this.show('thread');
      await this.thread.load();
    } else {
      this.show('thread');
    }
  }

  /** Shows an empty thread; it comes to be on the server with its first message. */
  create(): void {
    if (this.thread.id !== null || !this.thread.isEmpty) {
      this._replace(new ThreadModel(this.serverSettings, null));
    }
    this.show('thread');
  }

  async remove(id: string): Promise<void> {
    await this.threads.remove(id);
    if (this.thread.id === id) {
      const { view } = this;
      this.create();
      this.show(view);
    }
  }

  /** Sends a message with the files that are attached. */
  async send(text: string): Promise<boolean> {
    const files = this.attachments.take();
    files.forEach(file => this.files.put(file));
    const { thread } = this;
    const sent = await thread.send(text, files, () => this.runOptions());
    if (!sent) {
      this.attachments.restore(files);
    }
    return sent;
  }

  /** Has a code step's code run once more, in the session as it is now. */
  async runAgain(code: string): Promise<void> {
    const ask = this.trans.__('Run this code again:');
    await this.thread.send(`${ask}\n\n${fenced(code, 'python')}`, [], () =>
      this.runOptions(true)
    );
  }

  /** Which assistant and model answer; makes the panel's own assistant if there is none. */
  async runOptions(forceCode = false): Promise<IRunOptions> {
    if (this.status === null) {
      await this.refresh();
    }
    const assistant = this.assistant ?? (await this._create());
    return { assistant: assistant.id, model: this.model, forceCode };
  }

  choose(choice: { assistant?: string; model?: string }): void {
    this._remember(choice);
    this._changed.emit();
  }

  /** Makes an assistant, or changes the one of that id. */
  async saveAssistant(
    id: string | null,
    fields: { name: string; instructions: string; model: string }
  ): Promise<void> {
    const assistant =
      id === null
        ? await rest.createAssistant(this.serverSettings, {
            ...fields,
            tools: [{ type: 'code_interpreter' }]
          })
        : await rest.updateAssistant(this.serverSettings, id, fields);
    this._remember({ assistant: assistant.id });
    await this.refresh();
  }

  async removeAssistant(id: string): Promise<void> {
    await rest.deleteAssistant(this.serverSettings, id);
    if (this._memory.assistant === id) {
      this._remember({ assistant: undefined });
    }
    await this.refresh();
  }

  /** Puts text into the composer, after what is there. */
  insert(text: string): void {
    this.show('thread');
    this._inserted.emit(text);
  }

  setPreferences(preferences: IPreferences): void {
    this.preferences = preferences;
    this._changed.emit();
  }

  /** The title of the thread that is shown; empty for one without. */
  get title(): string {
    const { thread } = this;
    const named = (thread.thread?.metadata as Record<string, string> | null)
      ?.title;
    if (named) {
      return named;
    }
    const first = thread.conversation.messageOrder[0];
    const message = first && thread.conversation.messages[first];
    const part = message && message.content.find(({ type }) => type === 'text');
    const text =
      part && part.type === 'text' ? part.text.value : thread.pending?.text;
    const line = (text ?? '').trim().split('\n', 1)[0];
    return line.length > 80 ? `${line.slice(0, 79)}…` : line;
  }

  rowOf(id: string): IThreadRow | undefined {
    return this.threads.rows.find(row => row.id === id);
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this.thread.dispose();
    this.threads.dispose();
    this.session.dispose();
    this.files.dispose();
    Signal.clearData(this);
  }

  /** What failed while the server was away is mended when it is back. */
  private _watchConnection(): void {
    const { thread } = this;
    const { unreachable } = this.session;
    if (this._unreachable && !unreachable) {
      if (this.statusError !== null) {
        void this.refresh();
      }
      if (isUnanswered(thread.error)) {
        thread.dismissError();
        if (thread.thread === null) {
          void thread.load();
        }
      }
    }
    this._unreachable = unreachable;
  }

  private async _create(): Promise<Assistant> {
    const assistant = await rest.createAssistant(this.serverSettings, {
      name: this.trans.__('Data analyst'),
      instructions: this.preferences.instructions,
      model: this.status?.models.default ?? 'demo',
      tools: [{ type: 'code_interpreter' }],
      metadata: OWN
    });
    this.assistants = [assistant, ...this.assistants];
    this._changed.emit();
    return assistant;
  }

  private get _own(): Assistant | undefined {
    return this.assistants.find(
      ({ metadata }) =>
        (metadata as Record<string, string> | null)?.made_by === OWN.made_by
    );
  }

  private _knows(model: string): boolean {
    return this.models.some(({ id }) => id === model);
  }

  private _replace(thread: ThreadModel): void {
    this.thread.dispose();
    this.thread = this._hold(thread);
    this._remember({ thread: thread.id ?? undefined });
  }

  private _hold(thread: ThreadModel): ThreadModel {
    this.session.watch(thread.id);
    thread.created.connect((_, { id }) => {
      this.session.watch(id);
      this._drafts.delete('');
      this._remember({ thread: id });
      this._changed.emit();
    });
    // A kernel is started for the first code of a run, and is idle again after the last.
    let executing = false;
    thread.changed.connect(() => {
      const now = Object.keys(thread.conversation.progress).length > 0;
      if (now !== executing) {
        executing = now;
        void this.session.refresh().catch(() => undefined);
      }
    });
    thread.runChanged.connect(() => {
      void this.session.refresh().catch(() => undefined);
      this._changed.emit();
    });
    return thread;
  }

  private _remember(memory: IMemory): void {
    this._memory = { ...this._memory, ...memory };
    this._options.remember(this._memory);
  }

  private _memory: IMemory = {};
  private _drafts = new Map<string, string>();
  private _unreachable = false;
  private _disposed = false;
  private _changed = new Signal<this, void>(this);
  private _inserted = new Signal<this, string>(this);
}
