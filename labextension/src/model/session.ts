/**
 * The session (the kernel) of the thread that is shown: watched while it is seen.
 */
import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { ApiError } from '../client/errors';
import * as rest from '../client/rest';
import type { ISession } from '../wire';

/** Why the variables of a thread are gone. */
export type Gone = '' | 'idle' | 'life' | 'closed' | 'restarted' | 'died';

export class SessionModel implements IDisposable {
  constructor(
    private readonly _settings: rest.Settings,
    isHidden: () => boolean
  ) {
    this._poll = new Poll({
      name: 'code-interpreter:session',
      auto: false,
      factory: () => this._refresh(),
      frequency: { interval: 3000, backoff: true, max: 15000 },
      standby: () => isHidden() || 'when-hidden'
    });
  }

  session: ISession | null = null;

  /** Whether the server did not answer when it was asked last. */
  unreachable = false;

  /** Set when a session that was seen alive is no more, until the next one starts. */
  gone: Gone = '';

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get isAlive(): boolean {
    return this.session !== null && isAlive(this.session);
  }

  /** Watches another thread's session; null for a thread that does not exist yet. */
  watch(thread: string | null): void {
    if (thread === this._thread) {
      return;
    }
    this._thread = thread;
    this.unreachable = false;
    this.session = null;
    this.gone = '';
    this._changed.emit();
    if (thread === null) {
      void this._poll.stop();
    } else {
      void this.refresh();
    }
  }

  refresh(): Promise<void> {
    return this._thread === null
      ? Promise.resolve()
      : this._poll.refresh().then(() => undefined);
  }

  async restart(): Promise<void> {
    if (this._thread !== null) {
      const session = await rest.restartSession(this._settings, this._thread);
      this._set(session);
      this.gone = 'restarted';
      this._changed.emit();
    }
  }

  async close(): Promise<void> {
    if (this._thread !== null) {
      this._closing = true;
      await rest.closeSession(this._settings, this._thread);
      await this.refresh();
      this._closing = false;
    }
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  private async _refresh(): Promise<void> {
    const thread = this._thread;
    if (thread === null) {
      return;
    }
    let session: ISession;
    try {
      session = await rest.getSession(this._settings, thread);
    } catch (error) {
      if (error instanceof ApiError && error.status === 0) {
        this.unreachable = true;
        this._changed.emit();
      }
      throw error;
    }
    this.unreachable = false;
    if (thread === this._thread) {
      this._set(session);
      this._changed.emit();
    }
  }

  private _set(session: ISession): void {
    const before = this.session;
    this.session = session;
    if (isAlive(session)) {
      const other = before?.id !== undefined && before?.id !== session.id;
      if (other || this.gone !== 'restarted') {
        this.gone = '';
      }
    } else if (before !== null && isAlive(before)) {
      this.gone = this._closing ? 'closed' : whyGone(before, Date.now() / 1000);
    }
  }

  private _thread: string | null = null;
  private _closing = false;
  private _poll: Poll<void, unknown>;
  private _changed = new Signal<this, void>(this);
}

export function isAlive(session: ISession): boolean {
  return session.state !== 'none' && session.state !== 'dead';
}

/** What ended a session that was last seen as *session*, judged at *now* (seconds). */
export function whyGone(session: ISession, now: number): Gone {
  if (session.expires_at === null || now < session.expires_at - 10) {
    return 'died';
  }
  const idle =
    session.last_active_at !== null &&
    session.expires_at - session.last_active_at <
      session.expires_at - (session.created_at ?? 0);
  return idle ? 'idle' : 'life';
}
