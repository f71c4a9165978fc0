/**
 * The list of threads: searched, paged, kept fresh while it is seen.
 */
import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as rest from '../client/rest';
import type { IThreadRow } from '../wire';

const PAGE = 30;

export class ThreadsModel implements IDisposable {
  constructor(
    private readonly _settings: rest.Settings,
    isHidden: () => boolean
  ) {
    this._poll = new Poll({
      name: 'code-interpreter:threads',
      auto: false,
      factory: () => this._refresh(),
      frequency: { interval: 5000, backoff: true, max: 60000 },
      standby: () => isHidden() || 'when-hidden'
    });
  }

  rows: IThreadRow[] = [];
  hasMore = false;
  query = '';
  loaded = false;
  error: unknown = null;

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Fetches the list now, and from now on every few seconds while it is seen. */
  refresh(): Promise<void> {
    return this._poll.refresh().then(() => undefined);
  }

  stop(): void {
    void this._poll.stop();
  }

  search(query: string): Promise<void> {
    this.query = query;
    return this.refresh();
  }

  async more(): Promise<void> {
    const last = this.rows[this.rows.length - 1];
    if (!last || !this.hasMore) {
      return;
    }
    const query = this.query;
    const page = await rest.listThreads(this._settings, {
      query,
      limit: PAGE,
      after: last.id
    });
    if (query === this.query) {
      this.rows = [...this.rows, ...page.data];
      this.hasMore = page.has_more;
      this._changed.emit();
    }
  }

  async rename(row: IThreadRow, title: string): Promise<void> {
    await rest.updateThread(this._settings, row.id, {
      metadata: { ...row.metadata, title }
    });
    await this.refresh();
  }

  async remove(id: string): Promise<void> {
    await rest.deleteThread(this._settings, id);
    this.rows = this.rows.filter(row => row.id !== id);
    this._changed.emit();
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  dispose(): void {
    this._poll.dispose();
    Signal.clearData(this);
  }

  private async _refresh(): Promise<void> {
    const query = this.query;
    try {
      const page = await rest.listThreads(this._settings, {
        query,
        limit: Math.min(100, Math.max(PAGE, this.rows.length))
      });
      if (query !== this.query) {
        return;
      }
      this.rows = page.data;
      this.hasMore = page.has_more;
      this.error = null;
    } catch (error) {
      this.error = error;
    }
    this.loaded = true;
    this._changed.emit();
    if (this.error) {
      throw this.error;
    }
  }

  private _poll: Poll<void, unknown>;
  private _changed = new Signal<this, void>(this);
}
