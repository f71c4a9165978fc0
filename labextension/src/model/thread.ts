/**
 * One thread: what is known of it, and what can be done with it. No React.
 */
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../client/errors';
import * as rest from '../client/rest';
import { readEvents } from '../client/sse';
import type { FileObject, Message, Run, Thread } from '../wire';
import {
  EMPTY,
  isOver,
  reduce,
  withMessages,
  withRuns,
  withSteps
} from './conversation';
import type { IConversation } from './conversation';
import { activeRun } from './timeline';

/** Milliseconds between two renderings while an answer streams in. */
const PAINT_EVERY = 80;

/** Seconds of silence after which the server sends a comment; twice that, and we reconnect. */
const KEEP_ALIVE = 15;

const PAGE = 30;

export interface IRunOptions {
  assistant: string;
  model?: string;
  forceCode?: boolean;
}

/** A message on its way to the server. */
export interface IPending {
  text: string;
  files: FileObject[];
}

let nextKey = 0;

/** Whether a request failed because nobody answered it. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof ApiError && error.status === 0;
}

export class ThreadModel implements IDisposable {
  /**
   * @param id - the thread, or null for one that the first message creates
   */
  constructor(
    private readonly _settings: rest.Settings,
    id: string | null
  ) {
    this._id = id;
  }

  /** Tells this model from others, also before it has an id. */
  readonly key = nextKey++;

  get id(): string | null {
    return this._id;
  }

  /** The thread's object; null until it is loaded or created. */
  thread: Thread | null = null;

  conversation: IConversation = EMPTY;

  /** Whether the newest messages are being fetched, or older ones. */
  loading: '' | 'newest' | 'older' = '';
  hasOlder = false;

  /** What kept the thread from being loaded, or the last request from being done. */
  error: unknown = null;

  /** The message that is being sent. */
  pending: IPending | null = null;

  /** The connection to the running run: "lost" while it is being opened again. */
  connection: 'ok' | 'lost' = 'ok';

  /** Whether a stop was asked for and has not come about yet. */
  stopping = false;

  /** Emitted when anything above has changed, at most every 80 ms while a run streams. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted when a run has begun or come to its end. */
  get runChanged(): ISignal<this, Run> {
    return this._runChanged;
  }

  /** Emitted when the thread has come to be on the server. */
  get created(): ISignal<this, Thread> {
    return this._created;
  }

  get running(): Run | undefined {
    return activeRun(this.conversation);
  }

  /** The newest run. */
  get lastRun(): Run | undefined {
    const { runOrder, runs } = this.conversation;
    return runs[runOrder[runOrder.length - 1]];
  }

  get busy(): boolean {
    return (
      this.pending !== null || this._starting || this.running !== undefined
    );
  }

  get isEmpty(): boolean {
    return (
      this.conversation.messageOrder.length === 0 &&
      this.pending === null &&
      this.conversation.runOrder.length === 0
    );
  }

  /** Fetches the newest messages with their runs, and follows a run that goes on. */
  async load(): Promise<void> {
    if (this._id === null) {
      return;
    }
    this.loading = 'newest';
    this.error = null;
    this._emit();
    try {
      const [thread] = await Promise.all([
        rest.getThread(this._settings, this._id),
        this._fetch(undefined)
      ]);
      this.thread = thread;
    } catch (error) {
      this.error = error;
    }
    this.loading = '';
    this._emit();
    const run = this.running;
    if (run && !this.isDisposed) {
      void this._follow(run);
    }
  }

  async loadOlder(): Promise<void> {
    if (this.loading || !this.hasOlder) {
      return;
    }
    this.loading = 'older';
    this._emit();
    try {
      await this._fetch(this.conversation.messageOrder[0]);
    } catch (error) {
      this.error = error;
    }
    this.loading = '';
    this._emit();
  }

  /**
   * Sends a message and starts a run that answers it.
   *
   * @returns whether the message is on the server; if not, `error` says why
   */
  async send(
    text: string,
    files: FileObject[],
    options: () => Promise<IRunOptions>
  ): Promise<boolean> {
    this.pending = { text, files };
    this.error = null;
    this._emit();
    try {
      const id = await this._ensure();
      const message = await rest.createMessage(this._settings, id, {
        role: 'user',
        content: text,
        attachments: files.map(file => ({
          file_id: file.id,
          tools: [{ type: 'code_interpreter' }]
        }))
      });
      this.conversation = withMessages(this.conversation, [message]);
      this._starting = true;
    } catch (error) {
      this.pending = null;
      this.error = error;
      this._emit();
      return false;
    }
    this.pending = null;
    await this.run(options);
    return true;
  }

  /** Starts a run on what the thread holds: after a failure, the same question again. */
  async run(options: () => Promise<IRunOptions>): Promise<void> {
    this.error = null;
    this._starting = true;
    this._emit();
    try {
      const id = await this._ensure();
      const { assistant, model, forceCode } = await options();
      const run = await rest.createRun(this._settings, id, {
        assistant_id: assistant,
        ...(model ? { model } : {}),
        ...(forceCode ? { tool_choice: { type: 'code_interpreter' } } : {})
      });
      this.conversation = withRuns(this.conversation, [run]);
      this._starting = false;
      this._runChanged.emit(run);
      void this._follow(run);
    } catch (error) {
      this._starting = false;
      this.error = error;
    }
    this._emit();
  }

  /** Whether a run is being asked for and has no object yet. */
  get starting(): boolean {
    return this._starting;
  }

  /** Stops the run that goes on; it ends as "cancelled", whatever it was doing. */
  async stop(): Promise<void> {
    const run = this.running;
    if (!run || this.stopping) {
      return;
    }
    this.stopping = true;
    this._emit();
    try {
      const answer = await rest.cancelRun(
        this._settings,
        run.thread_id,
        run.id
      );
      // The stream may have told of a later state meanwhile.
      if (this.running) {
        this._apply('thread.run.cancelling', answer);
      }
    } catch (error) {
      this.stopping = false;
      if (!(error instanceof ApiError && error.status === 400)) {
        this.error = error;
      }
    }
    this._emit();
  }

  /** Answers the functions that a run waits for. */
  async submit(
    run: Run,
    outputs: Array<{ tool_call_id: string; output: string }>
  ): Promise<void> {
    try {
      const answer = await rest.submitOutputs(
        this._settings,
        run.thread_id,
        run.id,
        outputs
      );
      this._apply('thread.run.queued', answer);
      void this._follow(answer);
    } catch (error) {
      this.error = error;
    }
    this._emit();
  }

  async rename(title: string): Promise<void> {
    if (this._id === null) {
      return;
    }
    const old = this.thread ?? (await rest.getThread(this._settings, this._id));
    const metadata = { ...(old.metadata as object | null), title };
    this.thread = await rest.updateThread(this._settings, this._id, {
      metadata
    });
    this._emit();
  }

  dismissError(): void {
    this.error = null;
    this._emit();
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  /** Lets go of the run, which goes on by itself on the server. */
  dispose(): void {
    if (this._disposed) {
      return;
    }
    this._disposed = true;
    this._abort?.abort();
    clearTimeout(this._paint);
    Signal.clearData(this);
  }

  private async _ensure(): Promise<string> {
    if (this._id === null) {
      const thread = await rest.createThread(this._settings);
      this._id = thread.id;
      this.thread = thread;
      this._created.emit(thread);
    }
    return this._id;
  }

  /** Fetches a page of messages that ends before *after*, with the runs and steps they are of. */
  private async _fetch(after: string | undefined): Promise<void> {
    const id = this._id!;
    const [page, runs] = await Promise.all([
      rest.listMessages(this._settings, id, { limit: PAGE, after }),
      this._fetchRuns()
    ]);
    let messages: Message[] = page.data;
    let more = page.has_more;
    // A run whose messages straddle the edge of the page is shown whole or not at all.
    while (
      more &&
      messages.length > 0 &&
      messages[messages.length - 1].run_id
    ) {
      const next = await rest.listMessages(this._settings, id, {
        limit: 10,
        after: messages[messages.length - 1].id
      });
      messages = [...messages, ...next.data];
      more = next.has_more;
    }
    messages = [...messages].reverse();
    const oldest = more ? (messages[0]?.created_at ?? Infinity) : 0;
    const wanted = runs.filter(
      run =>
        run.created_at >= oldest && !(run.id in this.conversation.stepOrder)
    );
    const steps = await Promise.all(
      wanted.map(run => rest.listSteps(this._settings, id, run.id))
    );
    let state = withMessages(this.conversation, messages);
    state = withRuns(state, wanted);
    wanted.forEach((run, at) => {
      state = withSteps(state, run.id, steps[at].data);
    });
    this.conversation = state;
    this.hasOlder = more;
  }

  /** All runs of the thread, oldest first; fetched once. */
  private async _fetchRuns(): Promise<Run[]> {
    if (this._runs === null) {
      const runs: Run[] = [];
      let after: string | undefined;
      for (;;) {
        const page = await rest.listRuns(this._settings, this._id!, {
          limit: 100,
          after
        });
        runs.push(...page.data);
        if (!page.has_more || page.last_id === null) {
          break;
        }
        after = page.last_id;
      }
      this._runs = runs.reverse();
    }
    return this._runs;
  }

  /** Follows a run until it is over, through lost connections. */
  private async _follow(run: Run): Promise<void> {
    this._abort?.abort();
    const abort = (this._abort = new AbortController());
    const stopped = () => abort.signal.aborted;
    let after = '';
    let pause = 500;
    while (!stopped()) {
      const watch = new AbortController();
      const relay = () => watch.abort();
      abort.signal.addEventListener('abort', relay);
      let timer = 0;
      const alive = () => {
        clearTimeout(timer);
        timer = window.setTimeout(relay, KEEP_ALIVE * 2500);
      };
      try {
        alive();
        const body = await rest.openEvents(
          this._settings,
          run.thread_id,
          run.id,
          { after, keepAlive: KEEP_ALIVE, signal: watch.signal }
        );
        let done = false;
        for await (const record of readEvents(body, alive)) {
          this._connected(true);
          pause = 500;
          after = record.id || after;
          done = record.event === 'done';
          if (done) {
            break;
          }
          this._receive(record.event, record.data);
        }
        if (done || stopped()) {
          break;
        }
      } catch (error) {
        if (stopped()) {
          break;
        }
        if (error instanceof ApiError && error.status === 404) {
          this.error = error;
          break;
        }
        this._connected(false);
      } finally {
        clearTimeout(timer);
        abort.signal.removeEventListener('abort', relay);
      }
      await new Promise(resolve => setTimeout(resolve, pause));
      pause = Math.min(pause * 2, 10000);
    }
    if (!stopped()) {
      this._ended(run.id);
    }
  }

  private _receive(event: string, data: string): void {
    let parsed: any;
    try {
      parsed = JSON.parse(data);
    } catch {
      return; // an event of a later version: not ours to read
    }
    if (event === 'error') {
      this.error = new ApiError(500, parsed.error ?? parsed);
      this._emitSoon();
      return;
    }
    this._apply(event, parsed);
  }

  private _apply(event: string, data: any): void {
    this.conversation = reduce(this.conversation, { event, data }, Date.now());
    this._emitSoon();
  }

  private _connected(ok: boolean): void {
    const connection = ok ? 'ok' : 'lost';
    if (connection !== this.connection) {
      this.connection = connection;
      if (ok && isUnanswered(this.error)) {
        this.error = null;
      }
      this._emit();
    }
  }

  private _ended(id: string): void {
    this.connection = 'ok';
    const run = this.conversation.runs[id];
    if (run && isOver(run)) {
      this.stopping = false;
    }
    this._emit();
    if (run) {
      this._runChanged.emit(run);
    }
  }

  private _emitSoon(): void {
    if (!this._paint) {
      this._paint = window.setTimeout(() => this._emit(), PAINT_EVERY);
    }
  }

  private _emit(): void {
    clearTimeout(this._paint);
    this._paint = 0;
    if (!this._disposed) {
      this._changed.emit();
    }
  }

  private _id: string | null;
  private _runs: Run[] | null = null;
  private _starting = false;
  private _disposed = false;
  private _abort: AbortController | null = null;
  private _paint = 0;
  private _changed = new Signal<this, void>(this);
  private _runChanged = new Signal<this, Run>(this);
  private _created = new Signal<this, Thread>(this);
}
