import { ServerConnection } from '@jupyterlab/services';

import { ApiError } from '../client/errors';
import { uploadFile } from '../client/upload';
import { Attachments } from '../model/attachments';

/** A request that goes as far as a test says. */
class SteeredRequest {
  static made: SteeredRequest[] = [];

  static get last(): SteeredRequest {
    return SteeredRequest.made[SteeredRequest.made.length - 1];
  }

  constructor() {
    SteeredRequest.made.push(this);
  }

  upload: { onprogress?: (event: object) => void } = {};
  onload?: () => void;
  onerror?: () => void;
  onabort?: () => void;
  onloadend?: () => void;

  status = 0;
  responseText = '';
  withCredentials = false;
  opened: string[] = [];
  headers: Record<string, string> = {};
  body: FormData | null = null;
  state: 'new' | 'sent' | 'over' = 'new';
  aborts = 0;

  open(...opened: string[]): void {
    this.opened = opened;
  }

  setRequestHeader(name: string, value: string): void {
    this.headers[name] = value;
  }

  send(body: FormData): void {
    this.body = body;
    this.state = 'sent';
  }

  abort(): void {
    this.aborts += 1;
    if (this.state === 'sent') {
      this._end(this.onabort);
    }
  }

  progress(loaded: number, total: number): void {
    const lengthComputable = total > 0;
    this.upload.onprogress?.({ lengthComputable, loaded, total });
  }

  answer(status: number, body: unknown): void {
    this.status = status;
    this.responseText = typeof body === 'string' ? body : JSON.stringify(body);
    this._end(this.onload);
  }

  breakOff(): void {
    this._end(this.onerror);
  }

  private _end(handler: (() => void) | undefined): void {
    this.state = 'over';
    handler?.();
    this.onloadend?.();
  }
}

const original = globalThis.XMLHttpRequest;
const settings = (init: RequestInit = {}) =>
  ServerConnection.makeSettings({
    baseUrl: 'http://127.0.0.1:8888/user/alice/',
    token: 'secret',
    init
  });
const file = new Blob(['a,b\n1,2\n'], { type: 'text/csv' });
const FILE = { id: 'file-1', filename: 'data.csv', bytes: 8 };

function start(signal = new AbortController().signal) {
  const parts: number[] = [];
  const upload = uploadFile(
    settings({ credentials: 'include' }),
    file,
    'data.csv',
    part => parts.push(part),
    signal
  );
  return { upload, parts };
}

beforeEach(() => {
  SteeredRequest.made = [];
  globalThis.XMLHttpRequest = SteeredRequest as any;
  document.cookie = '_xsrf=2|abc';
});

afterEach(() => {
  globalThis.XMLHttpRequest = original;
});

describe('uploadFile', () => {
  it('sends the file with what Jupyter asks for, and tells how far it is', async () => {
    const { upload, parts } = start();
    const request = SteeredRequest.last;
    expect(request.opened).toEqual([
      'POST',
      'http://127.0.0.1:8888/user/alice/openai/v1/files'
    ]);
    expect(request.headers).toEqual({
      Authorization: 'token secret',
      'X-XSRFToken': '2|abc'
    });
    expect(request.withCredentials).toBe(true);
    expect(request.body!.get('purpose')).toBe('assistants');
    expect((request.body!.get('file') as any).name).toBe('data.csv');
    request.progress(2, 8);
    request.progress(5, 0); // of unknown length: no news
    request.progress(8, 8);
    request.answer(200, FILE);
    expect(await upload).toEqual(FILE);
    expect(parts).toEqual([0.25, 1]);
  });

  it('says in the words of the server why a file was refused', async () => {
    const refused = start().upload;
    SteeredRequest.last.answer(413, {
      error: { message: 'Larger than 512 MB.', code: 'too_large' }
    });
    await expect(refused).rejects.toMatchObject({
      status: 413,
      message: 'Larger than 512 MB.'
    });
    const broken = start().upload;
    SteeredRequest.last.answer(502, '<html>Bad gateway</html>');
    await expect(broken).rejects.toMatchObject({ status: 502 });
  });

  it('tells a connection that broke off', async () => {
    const { upload } = start();
    SteeredRequest.last.breakOff();
    const error = await upload.catch(reason => reason);
    expect(error).toBeInstanceOf(ApiError);
    expect(error.code).toBe('no_connection');
  });

  it('stops when it is told to, before and while it sends, and not after', async () => {
    const before = new AbortController();
    before.abort();
    await expect(start(before.signal).upload).rejects.toMatchObject({
      name: 'AbortError'
    });
    expect(SteeredRequest.made).toHaveLength(0);

    const during = new AbortController();
    const { upload } = start(during.signal);
    SteeredRequest.last.progress(1, 8);
    during.abort();
    await expect(upload).rejects.toMatchObject({ name: 'AbortError' });
    expect(SteeredRequest.last.aborts).toBe(1);

    const after = new AbortController();
    const done = start(after.signal).upload;
    SteeredRequest.last.answer(200, FILE);
    await done;
    after.abort();
    expect(SteeredRequest.last.aborts).toBe(0);
  });
});

describe('Attachments', () => {
  const settled = () => new Promise(resolve => setTimeout(resolve));

  it('shows a file on its way, and then as one to send', async () => {
    const attachments = new Attachments(settings());
    void attachments.upload(file, 'data.csv');
    expect(attachments.isSending).toBe(true);
    SteeredRequest.last.progress(4, 8);
    expect(attachments.items).toMatchObject([
      { name: 'data.csv', state: 'sending', part: 0.5 }
    ]);
    SteeredRequest.last.answer(200, FILE);
    await settled();
    expect(attachments.isSending).toBe(false);
    expect(attachments.items[0].state).toBe('ready');
    expect(attachments.take()).toEqual([FILE]);
    expect(attachments.items).toEqual([]);
  });

  it('forgets a file whose upload is cancelled, and sends the others', async () => {
    const attachments = new Attachments(settings());
    void attachments.upload(file, 'one.csv');
    const first = SteeredRequest.last;
    void attachments.upload(file, 'two.csv');
    attachments.remove(attachments.items[0].key);
    await settled();
    expect(first.aborts).toBe(1);
    expect(attachments.items.map(({ name }) => name)).toEqual(['two.csv']);
    SteeredRequest.last.answer(200, FILE);
    await settled();
    expect(attachments.files).toEqual([FILE]);
  });

  it('keeps a file that failed with the reason', async () => {
    const attachments = new Attachments(settings());
    void attachments.upload(file, 'data.csv');
    SteeredRequest.last.answer(507, {
      error: { message: 'The disk is full.' }
    });
    await settled();
    expect(attachments.items).toMatchObject([
      { state: 'failed', error: 'The disk is full.' }
    ]);
    expect(attachments.files).toEqual([]);
  });
});
