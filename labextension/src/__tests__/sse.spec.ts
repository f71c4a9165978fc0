import type { IServerEvent } from '../client/sse';
import { EventDecoder, readEvents } from '../client/sse';

const RECORDS: IServerEvent[] = [
  { id: '1', event: 'thread.run.created', data: '{"a":"ä → 日本"}' },
  { id: '2', event: 'message', data: 'first\nsecond' },
  { id: '2', event: 'done', data: '[DONE]' }
];

const lines = [
  'id: 1',
  'event: thread.run.created',
  'data: {"a":"ä → 日本"}',
  '',
  ': keep-alive',
  'id:2',
  'retry: 10',
  'data: first',
  'data:second',
  '',
  'event: empty, hence no record',
  '',
  'event: done',
  'data: [DONE]',
  '',
  ''
];

describe('EventDecoder', () => {
  for (const [name, end] of [
    ['LF', '\n'],
    ['CR', '\r'],
    ['CRLF', '\r\n']
  ]) {
    it(`decodes lines that end in ${name}, cut at every point`, () => {
      const text = lines.join(end);
      for (let cut = 0; cut <= text.length; cut++) {
        const decoder = new EventDecoder();
        const found = [
          ...decoder.push(text.slice(0, cut)),
          ...decoder.push(text.slice(cut)),
          ...decoder.push(end)
        ];
        expect(found).toEqual(RECORDS);
      }
    });
  }

  it('decodes one character at a time', () => {
    const decoder = new EventDecoder();
    const found = [...(lines.join('\r\n') + '\r\n')].flatMap(char =>
      decoder.push(char)
    );
    expect(found).toEqual(RECORDS);
  });

  it('skips a byte order mark at the beginning', () => {
    expect(new EventDecoder().push('\ufeffdata: x\n\n')).toEqual([
      { id: '', event: 'message', data: 'x' }
    ]);
  });

  it('gives no record that was not ended', () => {
    expect(new EventDecoder().push('data: x\n')).toEqual([]);
  });
});

describe('readEvents', () => {
  const bytes = new TextEncoder().encode(lines.join('\n') + '\n');

  function body(pieces: Uint8Array[], onCancel?: () => void) {
    return new ReadableStream<Uint8Array>({
      pull(controller) {
        const piece = pieces.shift();
        if (piece) {
          controller.enqueue(piece);
        } else {
          controller.close();
        }
      },
      cancel: onCancel
    });
  }

  it('decodes bytes cut at every point, also inside of a character', async () => {
    for (let cut = 0; cut <= bytes.length; cut++) {
      const found: IServerEvent[] = [];
      const pieces = [bytes.slice(0, cut), bytes.slice(cut)];
      for await (const record of readEvents(body(pieces))) {
        found.push(record);
      }
      expect(found).toEqual(RECORDS);
    }
  });

  it('cancels the body when the reader stops early', async () => {
    let cancelled = false;
    const pieces = [bytes, bytes];
    for await (const record of readEvents(
      body(pieces, () => (cancelled = true))
    )) {
      expect(record.id).toBe('1');
      break;
    }
    expect(cancelled).toBe(true);
  });

  it('tells of every piece, comments included', async () => {
    let pieces = 0;
    const comment = new TextEncoder().encode(': keep-alive\n\n');
    const stream = readEvents(body([comment, comment]), () => pieces++);
    expect((await stream.next()).done).toBe(true);
    expect(pieces).toBe(2);
  });
});
