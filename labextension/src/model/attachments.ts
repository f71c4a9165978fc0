/**
 * Files that go with the next message: uploads with their progress, and files of the workspace.
 */
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import * as rest from '../client/rest';
import { uploadFile } from '../client/upload';
import type { FileObject } from '../wire';

export interface IAttachment {
  readonly key: number;
  readonly name: string;
  /** Size in bytes; null while it is not known. */
  readonly size: number | null;
  readonly state: 'sending' | 'ready' | 'failed';
  /** The part that is sent, 0 to 1; null where it cannot be told. */
  readonly part: number | null;
  readonly file: FileObject | null;
  readonly error: string;
}

export class Attachments {
  /**
   * @param refuse - says why a file of this size is not taken; empty where it is
   */
  constructor(
    private readonly _settings: rest.Settings,
    private readonly _refuse: (size: number) => string = () => ''
  ) {}

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  get items(): readonly IAttachment[] {
    return this._items;
  }

  get isSending(): boolean {
    return this._items.some(item => item.state === 'sending');
  }

  /** The files that are on the server. */
  get files(): FileObject[] {
    return this._items.flatMap(item => (item.file ? [item.file] : []));
  }

  /** Uploads a file of this computer. */
  async upload(file: Blob, name: string): Promise<void> {
    await this._add(name, file.size, (key, signal) => {
      const reason = this._refuse(file.size);
      return reason
        ? Promise.reject(new Error(reason))
        : uploadFile(
            this._settings,
            file,
            name,
            part => this._change(key, { part }),
            signal
          );
    });
  }

  /** Attaches a file of the workspace; it does not travel through the browser. */
  async attach(path: string): Promise<void> {
    const name = path.split('/').pop() ?? path;
    await this._add(name, null, () => rest.importFile(this._settings, path));
  }

  /** Takes a file off the message; cancels its upload, or deletes it from the server. */
  remove(key: number): void {
    const item = this._items.find(other => other.key === key);
    this._items = this._items.filter(other => other.key !== key);
    this._aborts.get(key)?.abort();
    this._aborts.delete(key);
    if (item?.file) {
      rest.deleteFile(this._settings, item.file.id).catch(() => undefined);
    }
    this._changed.emit();
  }

  /** Empties the list without touching the files: they belong to a message now. */
  take(): FileObject[] {
    const files = this.files;
    this._items = this._items.filter(item => item.state === 'sending');
    this._changed.emit();
    return files;
  }

  /** Puts files back that a message was to take along. */
  restore(files: readonly FileObject[]): void {
    this._items = [
      ...files.map(file => ({
        key: this._next++,
        name: file.filename,
        size: file.bytes,
        state: 'ready' as const,
        part: null,
        file,
        error: ''
      })),
      ...this._items
    ];
    this._changed.emit();
  }

  private async _add(
    name: string,
    size: number | null,
    send: (key: number, signal: AbortSignal) => Promise<FileObject>
  ): Promise<void> {
    const key = this._next++;
    const abort = new AbortController();
    this._aborts.set(key, abort);
    this._items = [
      ...this._items,
      { key, name, size, state: 'sending', part: null, file: null, error: '' }
    ];
    this._changed.emit();
    try {
      const file = await send(key, abort.signal);
      if (abort.signal.aborted) {
        rest.deleteFile(this._settings, file.id).catch(() => undefined);
        return;
      }
      this._change(key, { state: 'ready', part: 1, file, size: file.bytes });
    } catch (error) {
      if (!abort.signal.aborted) {
        const reason = error instanceof Error ? error.message : String(error);
        this._change(key, { state: 'failed', error: reason });
      }
    } finally {
      this._aborts.delete(key);
    }
  }

  private _change(key: number, change: Partial<IAttachment>): void {
    this._items = this._items.map(item =>
      item.key === key ? { ...item, ...change } : item
    );
    this._changed.emit();
  }

  private _items: readonly IAttachment[] = [];
  private _aborts = new Map<number, AbortController>();
  private _next = 1;
  private _changed = new Signal<this, void>(this);
}
