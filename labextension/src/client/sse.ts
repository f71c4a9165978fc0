/**
 * The codec of server-sent events: text in, records out, without any network.
 *
 * Follows the HTML standard (https://html.spec.whatwg.org/#event-stream-interpretation): lines end
 * in LF, CR or CRLF; `data` lines are joined with LF; comments and unknown fields are skipped.
 */
export interface IServerEvent {
  /** The last `id:` seen so far; empty when there was none. */
  id: string;
  /** The value of `event:`, or "message". */
  event: string;
  data: string;
}

/**
 * Decodes a stream that arrives in pieces cut anywhere, even inside of CRLF.
 */
export class EventDecoder {
  /**
   * The records that are complete after one more piece of text.
   */
  push(text: string): IServerEvent[] {
    let input = this._rest + text;
    if (this._first && input.length > 0) {
      this._first = false;
      if (input.charCodeAt(0) === 0xfeff) {
        input = input.slice(1);
      }
    }
    const found: IServerEvent[] = [];
    let start = 0;
    for (let at = 0; at < input.length; at++) {
      const code = input.charCodeAt(at);
      if (code !== 10 && code !== 13) {
        continue;
      }
      if (code === 13 && at + 1 === input.length) {
        break; // CR at the very end: a LF that belongs to it may come next
      }
      this._line(input.slice(start, at), found);
      if (code === 13 && input.charCodeAt(at + 1) === 10) {
        at++;
      }
      start = at + 1;
    }
    this._rest = input.slice(start);
    return found;
  }

  private _line(line: string, found: IServerEvent[]): void {
    if (line === '') {
      if (this._data.length > 0) {
        found.push({
          id: this._id,
          event: this._event || 'message',
          data: this._data.join('\n')
        });
      }
      this._event = '';
      this._data = [];
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) {
      return; // a comment: it keeps the connection alive
    }
    const field = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) {
      value = value.slice(1);
    }
    if (field === 'event') {
      this._event = value;
    } else if (field === 'data') {
      this._data.push(value);
    } else if (field === 'id' && !value.includes('\0')) {
      this._id = value;
    }
  }

  private _first = true;
  private _rest = '';
  private _id = '';
  private _event = '';
  private _data: string[] = [];
}

/**
 * The records of a response body, as they come. Cancels the body when the reader stops early.
 *
 * @param onBytes - called for every piece that arrives, keep-alive comments included
 */
export async function* readEvents(
  body: ReadableStream<Uint8Array>,
  onBytes?: () => void
): AsyncGenerator<IServerEvent> {
  const reader = body.getReader();
  const utf8 = new TextDecoder();
  const decoder = new EventDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      onBytes?.();
      yield* decoder.push(utf8.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
