import type { ServerConnection } from '@jupyterlab/services';

import * as rest from '../client/rest';
import { ApiError } from '../client/errors';
import { ThreadModel } from '../model/thread';
import { timeline } from '../model/timeline';
import { page, ScriptedServer, sendEvents, sendJson, until } from './server';
import { codeStep, messageStep, reply, run, userMessage } from './wire';

const server = new ScriptedServer();
let settings: ServerConnection.ISettings;
let model: ThreadModel;

const EVENTS = 'GET openai/v1/threads/thread_1/runs/run_1/events';
const options = () => Promise.resolve({ assistant: 'asst_1', model: 'demo' });
const thread = { id: 'thread_1', object: 'thread', metadata: {} };
const completed = run('run_1', { status: 'completed', completed_at: 9 });

/** What a run that says "Hello" streams. */
const HELLO: Array<[string, unknown]> = [
  ['thread.run.created', run('run_1')],
  ['thread.run.in_progress', run('run_1', { status: 'in_progress' })],
  ['thread.run.step.created', messageStep('step_1', 'run_1', 'msg_2')],
  ['thread.message.created', reply('msg_2', 'run_1')],
  [
    'thread.message.delta',
    {
      id: 'msg_2',
      delta: { content: [{ index: 0, type: 'text', text: { value: 'Hel' } }] }
    }
  ],
  [
    'thread.message.delta',
    {
      id: 'msg_2',
      delta: { content: [{ index: 0, type: 'text', text: { value: 'lo' } }] }
    }
  ],
  ['thread.message.completed', reply('msg_2', 'run_1', 'Hello')],
  ['thread.run.completed', completed],
  ['done', null]
];

beforeEach(async () => {
  settings = await server.start();
  server.seen = [];
  server.routes = {
    'POST openai/v1/threads': () => thread,
    'GET openai/v1/threads/thread_1': () => thread,
    'POST openai/v1/threads/thread_1/messages': ({ body }) =>
      userMessage('msg_1', body.content),
    'POST openai/v1/threads/thread_1/runs': () => run('run_1'),
    [EVENTS]: (_, response) => sendEvents(response, HELLO)
  };
  model = new ThreadModel(settings, null);
});

afterEach(async () => {
  model.dispose();
  await server.stop();
});

function shown(): string[] {
  return timeline(model.conversation).flatMap(item =>
    item.kind === 'message'
      ? [textOf(item.message)]
      : item.parts.map(part =>
          part.kind === 'text' ? textOf(part.message) : part.kind
        )
  );
}

function textOf(message: { content: any[] }): string {
  return message.content.map(part => part.text?.value).join('');
}

describe('requests', () => {
  it('carry the token, the dialect and a JSON type, below the base URL', async () => {
    await rest.createThread(settings, { metadata: { a: 'ü' } });
    const [{ path, headers, body }] = server.seen;
    expect(path).toBe('openai/v1/threads');
    expect(headers.authorization).toBe('token secret');
    expect(headers['openai-beta']).toBe('assistants=v2');
    expect(headers['content-type']).toBe('application/json');
    expect(body).toEqual({ metadata: { a: 'ü' } });
  });

  it('escape what goes into a path', () => {
    expect(rest.urlOf(settings, 'x', ['../a b'], { q: 'c&d', n: '' })).toMatch(
      /\/user\/alice\/x\/\.\.%2Fa%20b\?q=c%26d$/
    );
  });

  it('fail with the words of the server', async () => {
    server.routes['GET openai/v1/threads/thread_1'] = (_, response) =>
      sendJson(response, 400, {
        error: { message: 'No.', type: 'invalid_request_error', code: 'x' }
      });
    await expect(rest.getThread(settings, 'thread_1')).rejects.toMatchObject({
      status: 400,
      message: 'No.',
      code: 'x'
    });
  });

  it('fail with status 0 when nobody answers', async () => {
    await server.stop();
    const failure = rest.getThread(settings, 'thread_1');
    await expect(failure).rejects.toBeInstanceOf(ApiError);
    await expect(failure).rejects.toMatchObject({ status: 0 });
  });
});

describe('ThreadModel', () => {
  it('makes a thread for its first message, and follows the run to its end', async () => {
    const states: string[] = [];
    model.runChanged.connect((_, { status }) => states.push(status));
    expect(await model.send('Hi', [], options)).toBe(true);
    await until(() => !model.busy, 'the end of the run');
    await until(() => states.length === 2);
    expect(states).toEqual(['queued', 'completed']);
    expect(shown()).toEqual(['Hi', 'Hello']);
    const created = server.seen.find(({ path }) => path.endsWith('/runs'))!;
    expect(created.body).toEqual({ assistant_id: 'asst_1', model: 'demo' });
  });

  it('attaches files for the code interpreter', async () => {
    const file = { id: 'file-1', filename: 'a.csv', bytes: 1 } as any;
    await model.send('Hi', [file], options);
    const sent = server.seen.find(({ path }) => path.endsWith('/messages'))!;
    expect(sent.body.attachments).toEqual([
      { file_id: 'file-1', tools: [{ type: 'code_interpreter' }] }
    ]);
  });

  it('goes on after a lost connection where it was', async () => {
    let calls = 0;
    server.routes[EVENTS] = ({ headers }, response) => {
      calls++;
      if (calls === 1) {
        sendEvents(response, HELLO.slice(0, 5));
        setTimeout(() => response.destroy(), 20);
      } else {
        const after = Number(headers['last-event-id']);
        sendEvents(response, HELLO.slice(after), after + 1);
      }
    };
    await model.send('Hi', [], options);
    await until(() => model.connection === 'lost', 'the loss');
    await until(() => !model.busy, 'the end of the run');
    expect(shown()).toEqual(['Hi', 'Hello']);
    const last = server.seen.filter(({ path }) => path.endsWith('/events'))[1];
    expect(last.headers['last-event-id']).toBe('5');
    expect(model.connection).toBe('ok');
  });

  it('loads a thread and picks a running run up', async () => {
    const running = run('run_1', { status: 'in_progress' });
    server.routes = {
      ...server.routes,
      'GET openai/v1/threads/thread_1/messages': () =>
        page([reply('msg_2', 'run_1', 'He'), userMessage('msg_1', 'Hi')]),
      'GET openai/v1/threads/thread_1/runs': () => page([running]),
      'GET openai/v1/threads/thread_1/runs/run_1/steps': () =>
        page([messageStep('step_1', 'run_1', 'msg_2')])
    };
    model = new ThreadModel(settings, 'thread_1');
    await model.load();
    await until(() => !model.busy, 'the end of the run');
    expect(shown()).toEqual(['Hi', 'Hello']);
  });

  it('pages back without cutting a run in two', async () => {
    const messages = [
      reply('msg_3', 'run_1', 'second', 3),
      reply('msg_2', 'run_1', 'first', 2),
      userMessage('msg_1', 'Hi', 1),
      userMessage('msg_0', 'Before', 0)
    ];
    server.routes = {
      ...server.routes,
      'GET openai/v1/threads/thread_1/messages': ({ query }) => {
        const after = query.get('after');
        const start = after ? messages.findIndex(m => m.id === after) + 1 : 0;
        // The first page ends in the middle of the run's messages.
        const end = after ? start + 1 : 1;
        return page(messages.slice(start, end), end < messages.length);
      },
      'GET openai/v1/threads/thread_1/runs': () => page([completed]),
      'GET openai/v1/threads/thread_1/runs/run_1/steps': () =>
        page([
          messageStep('step_1', 'run_1', 'msg_2'),
          codeStep('step_2', 'run_1', 'x'),
          messageStep('step_3', 'run_1', 'msg_3')
        ])
    };
    model = new ThreadModel(settings, 'thread_1');
    await model.load();
    expect(shown()).toEqual(['Hi', 'first', 'code', 'second']);
    expect(model.hasOlder).toBe(true);
    await model.loadOlder();
    expect(shown()).toEqual(['Before', 'Hi', 'first', 'code', 'second']);
    expect(model.hasOlder).toBe(false);
  });

  it('stops the run', async () => {
    let stream: Parameters<typeof sendEvents>[0];
    const cancelling = run('run_1', { status: 'cancelling' });
    server.routes[EVENTS] = (_, response) => {
      stream = response;
      sendEvents(response, HELLO.slice(0, 4));
    };
    server.routes['POST openai/v1/threads/thread_1/runs/run_1/cancel'] = () =>
      cancelling;
    await model.send('Hi', [], options);
    await until(() => model.running?.status === 'in_progress');
    await model.stop();
    expect(model.stopping).toBe(true);
    expect(model.running?.status).toBe('cancelling');
    const cancelled = run('run_1', { status: 'cancelled' });
    sendEvents(stream!, [
      ['thread.run.cancelled', cancelled],
      ['done', null]
    ]);
    await until(() => !model.busy, 'the end of the run');
    expect(model.stopping).toBe(false);
  });

  it('keeps the message when no run can be started, and tries again', async () => {
    server.routes['POST openai/v1/threads/thread_1/runs'] = (_, response) =>
      sendJson(response, 400, { error: { message: 'Busy.' } });
    expect(await model.send('Hi', [], options)).toBe(true);
    expect(model.error).toMatchObject({ message: 'Busy.' });
    expect(model.busy).toBe(false);
    server.routes['POST openai/v1/threads/thread_1/runs'] = () => run('run_1');
    await model.run(options);
    await until(() => shown().length === 2 && !model.busy);
    expect(model.error).toBeNull();
    expect(
      server.paths('POST').filter(p => p.endsWith('/messages'))
    ).toHaveLength(1);
  });

  it('says that a message was not sent', async () => {
    delete server.routes['POST openai/v1/threads/thread_1/messages'];
    expect(await model.send('Hi', [], options)).toBe(false);
    expect(model.pending).toBeNull();
    expect(model.error).toMatchObject({ status: 404 });
  });

  it('paints a fast stream a few times only', async () => {
    const deltas = Array.from({ length: 400 }, (): [string, unknown] => [
      'thread.message.delta',
      {
        id: 'msg_2',
        delta: { content: [{ index: 0, type: 'text', text: { value: 'x' } }] }
      }
    ]);
    server.routes[EVENTS] = (_, response) =>
      sendEvents(response, [
        ...HELLO.slice(0, 4),
        ...deltas,
        ['thread.run.completed', completed],
        ['done', null]
      ]);
    let paints = 0;
    model.changed.connect(() => paints++);
    await model.send('Hi', [], options);
    await until(() => !model.busy, 'the end of the run');
    expect(shown()[1]).toBe('x'.repeat(400));
    expect(paints).toBeLessThan(40);
  });

  it('lets go of the stream when it is disposed', async () => {
    let closed = false;
    server.routes[EVENTS] = (_, response) => {
      response.on('close', () => (closed = true));
      sendEvents(response, HELLO.slice(0, 4));
    };
    await model.send('Hi', [], options);
    await until(() => model.running?.status === 'in_progress');
    model.dispose();
    await until(() => closed, 'the end of the connection');
  });
});
