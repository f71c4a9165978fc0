import type { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';

import type { ServerResponse } from 'node:http';

import { Attachments } from '../model/attachments';
import type { IMemory } from '../model/panel';
import { PanelModel } from '../model/panel';
import { page, ScriptedServer, sendEvents, until } from './server';
import { run, userMessage } from './wire';

const server = new ScriptedServer();
let settings: ServerConnection.ISettings;
let model: PanelModel;
let memory: IMemory;

const assistant = (id: string, change: object = {}) => ({
  id,
  object: 'assistant',
  name: id,
  model: 'gpt-x',
  instructions: null,
  metadata: {},
  ...change
});

const status = {
  version: '0',
  isolation: null,
  models: { default: 'demo', data: [{ id: 'demo' }, { id: 'gpt-x' }] },
  limits: {},
  sessions: 0
};

beforeEach(async () => {
  settings = await server.start();
  server.seen = [];
  memory = {};
  server.routes = {
    'GET code-interpreter/status': () => status,
    'GET openai/v1/assistants': () => page([assistant('asst_other')]),
    'POST openai/v1/assistants': ({ body }) => assistant('asst_own', body),
    'POST openai/v1/threads': () => ({ id: 'thread_1', metadata: {} }),
    'POST openai/v1/threads/thread_1': ({ body }) => ({
      id: 'thread_1',
      ...body
    }),
    'DELETE openai/v1/threads/thread_1': () => ({ deleted: true }),
    'POST openai/v1/threads/thread_1/messages': ({ body }) =>
      userMessage('msg_1', body.content),
    'POST openai/v1/threads/thread_1/runs': () => run('run_1'),
    'GET openai/v1/threads/thread_1/runs/run_1/events': (_, response) =>
      sendEvents(response, [
        ['thread.run.completed', run('run_1', { status: 'completed' })],
        ['done', null]
      ]),
    'GET code-interpreter/sessions/thread_1': () => ({
      thread_id: 'thread_1',
      state: 'none'
    })
  };
  model = new PanelModel({
    serverSettings: settings,
    trans: nullTranslator.load('jupyter_ci_ext'),
    isHidden: () => false,
    remember: now => (memory = now)
  });
});

afterEach(async () => {
  model.dispose();
  await server.stop();
});

describe('PanelModel', () => {
  it('makes its own assistant at the first message, once', async () => {
    await model.start({});
    expect(model.isDemo).toBe(true);
    expect(model.assistant).toBeNull();
    await model.send('Hi');
    await until(() => !model.thread.busy);
    await model.send('Again');
    await until(() => !model.thread.busy);
    const made = server.seen.filter(
      ({ method, path }) => method === 'POST' && path.endsWith('assistants')
    );
    expect(made).toHaveLength(1);
    expect(made[0].body.tools).toEqual([{ type: 'code_interpreter' }]);
    expect(memory.thread).toBe('thread_1');
  });

  it('asks the chosen assistant with its own model, or with the chosen one', async () => {
    await model.start({ assistant: 'asst_other' });
    expect(model.model).toBe('gpt-x');
    model.choose({ model: 'demo' });
    expect(await model.runOptions()).toEqual({
      assistant: 'asst_other',
      model: 'demo',
      forceCode: false
    });
    expect(memory).toEqual({ assistant: 'asst_other', model: 'demo' });
  });

  it('forgets a model that is no more', async () => {
    await model.start({ model: 'gone' });
    expect(model.model).toBe('demo');
  });

  it('begins anew when the last thread was deleted', async () => {
    await model.start({ thread: 'thread_gone' });
    expect(model.thread.id).toBeNull();
    expect(model.thread.error).toBeNull();
  });

  it('runs code again as a message of its own', async () => {
    await model.start({});
    await model.runAgain('print("```")');
    const message = server.seen.find(({ path }) => path.endsWith('/messages'))!;
    expect(message.body.content).toContain('````python\nprint("```")\n````');
    const asked = server.seen.find(({ path }) => path.endsWith('/runs'))!;
    expect(asked.body.tool_choice).toEqual({ type: 'code_interpreter' });
  });

  it('keeps what is typed apart by thread', async () => {
    model.draft = 'for the new one';
    await model.open('thread_1').catch(() => undefined);
    expect(model.draft).toBe('');
    model.create();
    expect(model.draft).toBe('for the new one');
  });

  it('titles a thread by its first line until it is renamed', async () => {
    await model.start({});
    await model.send('What is\nthis?');
    expect(model.title).toBe('What is');
    await model.thread.rename('Banks');
    expect(model.title).toBe('Banks');
    const renamed = server.seen.find(
      ({ method, path }) => method === 'POST' && path.endsWith('/thread_1')
    )!;
    expect(renamed.body).toEqual({ metadata: { title: 'Banks' } });
  });

  it('says why nothing is known of the server', async () => {
    delete server.routes['GET code-interpreter/status'];
    await model.start({});
    expect(model.statusError).toMatchObject({ status: 404 });
    server.routes['GET code-interpreter/status'] = () => status;
    await model.reload();
    expect(model.statusError).toBeNull();
  });
});

describe('A server that goes away', () => {
  const question = () => page([userMessage('msg_1', 'Hi')]);

  it('is noticed, and what failed meanwhile is mended when it is back', async () => {
    await model.start({});
    await model.send('Hi');
    await until(() => !model.thread.busy);
    const session = server.routes['GET code-interpreter/sessions/thread_1'];
    const away = (_: unknown, response: ServerResponse) => {
      response.destroy();
    };
    server.routes['GET code-interpreter/sessions/thread_1'] = away;
    server.routes['POST openai/v1/threads/thread_1/messages'] = away;
    const asked = model.session.refresh().catch(() => undefined);
    await until(() => model.session.unreachable, 'a failed poll');
    await asked;
    expect(await model.send('Again')).toBe(false);
    expect(model.thread.error).toMatchObject({ status: 0 });
    server.routes['GET code-interpreter/sessions/thread_1'] = session;
    const again = model.session.refresh().catch(() => undefined);
    await until(() => !model.session.unreachable, 'an answer');
    await again;
    expect(model.thread.error).toBeNull();
  });

  it('has its thread loaded once it answers', async () => {
    const routes = { ...server.routes };
    const away = (_: unknown, response: ServerResponse) => {
      response.destroy();
    };
    for (const path of ['', '/messages', '/runs']) {
      server.routes[`GET openai/v1/threads/thread_1${path}`] = away;
    }
    server.routes['GET code-interpreter/sessions/thread_1'] = away;
    await model.open('thread_1');
    await until(() => model.session.unreachable, 'a failed poll');
    expect(model.thread.error).toMatchObject({ status: 0 });
    server.routes = {
      ...routes,
      'GET openai/v1/threads/thread_1': () => ({ id: 'thread_1' }),
      'GET openai/v1/threads/thread_1/messages': question,
      'GET openai/v1/threads/thread_1/runs': () => page([])
    };
    const again = model.session.refresh().catch(() => undefined);
    await until(() => model.title === 'Hi', 'the thread');
    await again;
    expect(model.thread.error).toBeNull();
  });
});

describe('Attachments', () => {
  const file = { id: 'file-1', filename: 'a.csv', bytes: 5 };

  it('takes files of the workspace by their path', async () => {
    server.routes['POST code-interpreter/files/import'] = () => file;
    const attachments = new Attachments(settings);
    const attached = attachments.attach('data/a.csv');
    expect(attachments.items[0]).toMatchObject({
      name: 'a.csv',
      state: 'sending'
    });
    await attached;
    expect(attachments.items[0]).toMatchObject({ state: 'ready', size: 5 });
    expect(attachments.take()).toEqual([file]);
    expect(attachments.items).toEqual([]);
  });

  it('says what went wrong, and deletes what was taken off again', async () => {
    const attachments = new Attachments(settings);
    await attachments.attach('none.csv');
    expect(attachments.items[0]).toMatchObject({ state: 'failed' });
    expect(attachments.items[0].error).toContain('No ');
    server.routes['POST code-interpreter/files/import'] = () => file;
    await attachments.attach('a.csv');
    attachments.remove(attachments.items[1].key);
    await until(() => server.paths('DELETE').length === 1);
    expect(server.paths('DELETE')).toEqual(['openai/v1/files/file-1']);
  });

  it('sends nothing that the server would not take', async () => {
    const attachments = new Attachments(settings, size =>
      size > 3 ? 'too large' : ''
    );
    await attachments.upload(new Blob(['abcd']), 'big.bin');
    expect(attachments.items[0]).toMatchObject({
      state: 'failed',
      error: 'too large'
    });
    expect(server.paths('POST')).toEqual([]);
  });

  it('puts files back when their message was not sent', () => {
    const attachments = new Attachments(settings);
    attachments.restore([file as any]);
    expect(attachments.files).toEqual([file]);
  });
});
