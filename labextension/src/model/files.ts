/**
 * Files of the server as the panel shows them: looked up once, contents held while the panel lives.
 */
import type { IDisposable } from '@lumino/disposable';

import * as rest from '../client/rest';
import type { FileObject, ISavedFile } from '../wire';

/** What kind of preview a file gets, by the end of its name. */
export type Kind = 'image' | 'table' | 'text' | 'pdf' | 'other';

const KINDS: Record<string, Kind> = {
  png: 'image',
  jpg: 'image',
  jpeg: 'image',
  gif: 'image',
  webp: 'image',
  svg: 'image',
  csv: 'table',
  tsv: 'table',
  pdf: 'pdf'
};

const TEXT =
  /\.(txt|md|json|jsonl|ndjson|py|r|jl|js|ts|html?|xml|ya?ml|toml|ini|cfg|log|sql|tex|sh|css|geojson)$/i;

/** Types of images; an image is shown as an image only, so that nothing in it can run. */
const IMAGE_TYPES: Record<string, string> = {
  png: 'image/png',
  jpg: 'image/jpeg',
  jpeg: 'image/jpeg',
  gif: 'image/gif',
  webp: 'image/webp',
  svg: 'image/svg+xml'
};

/** The end of a file name, in lower case, without its dot. */
export function extensionOf(name: string): string {
  return /\.([^./\\]+)$/.exec(name)?.[1].toLowerCase() ?? '';
}

/** The last part of a path: some clients name files with a directory. */
export function baseName(name: string): string {
  return name.split(/[/\\]/).pop() || name;
}

export function kindOf(name: string): Kind {
  return KINDS[extensionOf(name)] ?? (TEXT.test(name) ? 'text' : 'other');
}

/** The pages of a PDF that says so in the clear; 0 where they are not to be seen. */
export function pagesIn(pdf: string): number {
  return pdf.match(/\/Type\s*\/Page(?![a-zA-Z])/g)?.length ?? 0;
}

export class FilesModel implements IDisposable {
  constructor(private readonly _settings: rest.Settings) {}

  /** The file's object; asked for once. */
  get(id: string): Promise<FileObject> {
    return this._once(this._objects, id, () =>
      rest.getFile(this._settings, id)
    );
  }

  /** Remembers the object of a file that was just made. */
  put(file: FileObject): void {
    this._objects.set(file.id, Promise.resolve(file));
  }

  /** An address under which the browser has the image, whatever the file says that it is. */
  imageUrl(id: string): Promise<string> {
    return this._once(this._images, id, async () => {
      const [file, content] = await Promise.all([
        this.get(id).catch(() => null),
        rest.fileContent(this._settings, id)
      ]);
      const type =
        IMAGE_TYPES[extensionOf(file?.filename ?? '')] ?? 'image/png';
      if (type === 'image/svg+xml') {
        // Not as a blob: opened in a tab of its own, it would run in this origin.
        return `data:${type},${encodeURIComponent(await content.text())}`;
      }
      const url = URL.createObjectURL(new Blob([content], { type }));
      this._urls.push(url);
      return url;
    });
  }

  /** The file's text, or the beginning of it. */
  text(id: string, limit: number): Promise<string> {
    return this._once(this._texts, `${id} ${limit}`, async () => {
      const content = await rest.fileContent(this._settings, id, limit);
      return new TextDecoder().decode(await content.arrayBuffer());
    });
  }

  /** Hands the file to the browser's downloads; it is never opened in this origin. */
  async download(id: string): Promise<void> {
    const file = await this.get(id).catch(() => null);
    const anchor = document.createElement('a');
    const base = new URL(this._settings.baseUrl, window.location.href);
    let blob = '';
    if (base.origin === window.location.origin) {
      anchor.href = rest.fileUrl(this._settings, id);
    } else {
      const content = await rest.fileContent(this._settings, id);
      blob = URL.createObjectURL(content);
      anchor.href = blob;
    }
    anchor.download = baseName(file?.filename ?? id);
    document.body.appendChild(anchor);
    anchor.click();
    anchor.remove();
    if (blob) {
      setTimeout(() => URL.revokeObjectURL(blob), 60000);
    }
  }

  /** Copies the file into the workspace; a taken name gets a number. */
  save(id: string, directory: string): Promise<ISavedFile> {
    const saved = rest.saveFile(this._settings, id, directory);
    this._saved.set(id, saved);
    saved.catch(() => this._saved.delete(id));
    return saved;
  }

  /** The copy in the workspace: the last one that was saved here, else a new one. */
  saved(id: string, directory: string): Promise<ISavedFile> {
    return this._saved.get(id) ?? this.save(id, directory);
  }

  get isDisposed(): boolean {
    return this._disposed;
  }

  dispose(): void {
    this._disposed = true;
    this._urls.forEach(url => URL.revokeObjectURL(url));
    this._urls = [];
  }

  private _once<T>(
    cache: Map<string, Promise<T>>,
    key: string,
    fetch: () => Promise<T>
  ): Promise<T> {
    let found = cache.get(key);
    if (!found) {
      found = fetch();
      cache.set(key, found);
      found.catch(() => cache.delete(key));
    }
    return found;
  }

  private _objects = new Map<string, Promise<FileObject>>();
  private _images = new Map<string, Promise<string>>();
  private _texts = new Map<string, Promise<string>>();
  private _saved = new Map<string, Promise<ISavedFile>>();
  private _urls: string[] = [];
  private _disposed = false;
}
