import { nullTranslator } from '@jupyterlab/translation';
import type { ServerConnection } from '@jupyterlab/services';
import {
  act,
  cleanup,
  fireEvent,
  render,
  screen,
  within
} from '@testing-library/react';
import * as React from 'react';

import { PanelModel } from '../model/panel';
import type { Part } from '../model/timeline';
import { timeline } from '../model/timeline';
import {
  EMPTY,
  withMessages,
  withRuns,
  withSteps
} from '../model/conversation';
import { CodeStep } from '../view/CodeStep';
import { Composer } from '../view/Composer';
import { Empty } from '../view/Empty';
import { filesOf, UserText } from '../view/Message';
import { Notice } from '../view/Notice';
import { Panel } from '../view/Panel';
import { ServicesContext } from '../view/services';
import type { IServices } from '../view/services';
import { page, ScriptedServer, sendEvents, until } from './server';
import { codeStep, reply, run, TRACEBACK, userMessage } from './wire';

const server = new ScriptedServer();
const deeds: string[] = [];
let settings: ServerConnection.ISettings;
let services: IServices;

beforeEach(async () => {
  settings = await server.start();
  server.seen = [];
  server.routes = {};
  deeds.length = 0;
  const trans = nullTranslator.load('jupyter_ci_ext');
  const model = new PanelModel({
    serverSettings: settings,
    trans,
    isHidden: () => true,
    remember: () => undefined
  });
  const note = (word: string) => () => {
    deeds.push(word);
  };
  services = {
    model,
    trans,
    translator: nullTranslator,
    languages: null,
    rendermime: {
      mimeTypes: [],
      sanitizer: { sanitize: (html: string) => html },
      latexTypesetter: null,
      markdownParser: { render: (text: string) => Promise.resolve(text) }
    } as any,
    actions: {
      copy: text => deeds.push(`copy ${text}`),
      insertCell: code => deeds.push(`insert ${code}`),
      openPath: () => Promise.resolve(),
      saveFile: () => Promise.resolve(),
      openFile: () => Promise.resolve(),
      run: command => deeds.push(`run ${command}`),
      menu: note('menu'),
      pickFiles: note('pick'),
      mentions: () => [
        { id: '1', label: 'cell', hint: 'the active cell', apply: () => 'CODE' }
      ],
      deed: deed => deeds.push(deed)
    }
  };
});

afterEach(async () => {
  cleanup();
  services.model.dispose();
  await server.stop();
});

function show(element: JSX.Element): void {
  render(
    <ServicesContext.Provider value={services}>
      {element}
    </ServicesContext.Provider>
  );
}

function codeParts(...steps: ReturnType<typeof codeStep>[]) {
  const state = withSteps(withRuns(EMPTY, [run('r')]), 'r', steps);
  return timeline(state).flatMap(item =>
    item.kind === 'run'
      ? item.parts.filter(
          (part): part is Extract<Part, { kind: 'code' }> =>
            part.kind === 'code'
        )
      : []
  );
}

describe('CodeStep', () => {
  it('shows code, its tools, and folds it when it is long', async () => {
    const code = Array.from({ length: 40 }, (_, at) => `x = ${at}`).join('\n');
    const [part] = codeParts(codeStep('s', 'r', code));
    show(<CodeStep part={part} busy={false} />);
    expect(screen.getByText(/x = 0/).textContent).not.toContain('x = 39');
    fireEvent.click(screen.getByText('show all 40 lines'));
    expect((await screen.findByText(/x = 39/)).textContent).toBe(code);
    fireEvent.click(screen.getByLabelText('Copy the code'));
    fireEvent.click(
      screen.getByLabelText('Insert into the notebook as a cell')
    );
    expect(deeds).toEqual([`copy ${code}`, `insert ${code}`]);
  });

  it('folds a failed attempt to one line', () => {
    const [failed] = codeParts(
      codeStep('s1', 'r', 'bad()', [{ type: 'logs', logs: TRACEBACK }]),
      codeStep('s2', 'r', 'good()')
    );
    show(<CodeStep part={failed} busy={false} />);
    expect(screen.getByLabelText('Python code').textContent).toContain(
      "KeyError: 'Closing Date' · repaired below"
    );
    expect(screen.queryByText('bad()')).toBeNull();
    fireEvent.click(screen.getByLabelText('Show the failed attempt'));
    expect(screen.getByText('bad()')).toBeTruthy();
  });

  it('lets nothing be run again while a run goes on', () => {
    const [part] = codeParts(codeStep('s', 'r', 'x'));
    show(<CodeStep part={part} busy={true} />);
    const again = screen.getByLabelText('Run this code again');
    expect((again as HTMLButtonElement).disabled).toBe(true);
  });

  it('says that code is being written', () => {
    const step = codeStep('s', 'r', 'x', [], { status: 'in_progress' });
    const [part] = codeParts(step);
    show(<CodeStep part={part} busy={true} />);
    expect(screen.getByText('writing')).toBeTruthy();
    expect(screen.queryByLabelText('Run this code again')).toBeNull();
  });
});

describe('Composer', () => {
  beforeEach(() => {
    server.routes = {
      'GET code-interpreter/status': () => ({
        models: { default: 'demo', data: [{ id: 'demo' }] },
        limits: {}
      }),
      'GET openai/v1/assistants': () => page([]),
      'POST openai/v1/assistants': ({ body }) => ({ id: 'asst_1', ...body }),
      'POST openai/v1/threads': () => ({ id: 'thread_1', metadata: {} }),
      'POST openai/v1/threads/thread_1/messages': ({ body }) =>
        userMessage('msg_1', body.content),
      'POST openai/v1/threads/thread_1/runs': () => run('run_1'),
      'GET openai/v1/threads/thread_1/runs/run_1/events': (_, response) =>
        sendEvents(response, [['thread.run.created', run('run_1')]]),
      'GET code-interpreter/sessions/thread_1': () => ({ state: 'none' })
    };
  });

  const area = () => screen.getByLabelText('Message') as HTMLTextAreaElement;
  const type = (text: string) =>
    fireEvent.change(area(), { target: { value: text } });

  it('sends with Enter, and has Stop while the run goes on', async () => {
    show(<Composer />);
    const send = screen.getByText('Send') as HTMLButtonElement;
    expect(send.disabled).toBe(true);
    type('Hello');
    expect(send.disabled).toBe(false);
    fireEvent.keyDown(area(), { key: 'Enter', shiftKey: true });
    expect(services.model.thread.busy).toBe(false);
    fireEvent.keyDown(area(), { key: 'Enter' });
    expect(area().value).toBe('');
    await act(() => until(() => services.model.thread.running !== undefined));
    expect(screen.getByText(/Stop/)).toBeTruthy();
    expect(
      server.seen.find(({ path }) => path.endsWith('/messages'))!.body.content
    ).toBe('Hello');
  });

  it('keeps what is entered during a run until the answer is complete', async () => {
    const sent: string[] = [];
    services.model.send = text => {
      sent.push(text);
      return Promise.resolve(true);
    };
    const { thread } = services.model;
    const set = async (status: 'in_progress' | 'completed' | 'cancelled') => {
      await act(async () => {
        thread.conversation = withRuns(EMPTY, [run('r', { status })]);
        services.model.choose({}); // anything that renders anew
      });
    };
    show(<Composer />);
    await set('in_progress');
    type('First this');
    fireEvent.keyDown(area(), { key: 'Enter' });
    expect(screen.getByText(/Is sent when/)).toBeTruthy();
    await set('cancelled');
    expect(screen.queryByText(/Is sent when/)).toBeNull();
    expect([area().value, sent]).toEqual(['First this', []]);
    await set('in_progress');
    fireEvent.keyDown(area(), { key: 'Enter' });
    type('Then that');
    expect(screen.queryByText(/Is sent when/)).toBeNull(); // it is being changed
    fireEvent.keyDown(area(), { key: 'Enter' });
    await set('completed');
    expect([area().value, sent]).toEqual(['', ['Then that']]);
  });

  it('gives the text back when it could not be sent', async () => {
    delete server.routes['POST openai/v1/threads'];
    show(<Composer />);
    type('Hello');
    fireEvent.keyDown(area(), { key: 'Enter' });
    await act(() => until(() => services.model.thread.error !== null));
    expect(area().value).toBe('Hello');
  });

  it('brings in what is mentioned with @', async () => {
    show(<Composer />);
    type('Explain @ce');
    area().setSelectionRange(11, 11);
    fireEvent.select(area());
    const list = screen.getByRole('listbox');
    expect(within(list).getByRole('option').textContent).toContain('cell');
    await act(async () => {
      fireEvent.keyDown(area(), { key: 'Enter' });
    });
    expect(area().value).toBe('Explain CODE');
    expect(screen.queryByRole('listbox')).toBeNull();
  });
});

describe('Empty', () => {
  it('suggests a table that is at hand, else lets one pick a file', () => {
    const attached: string[] = [];
    const { model } = services;
    model.attachments.attach = async path => void attached.push(path);
    show(<Empty />);
    fireEvent.click(screen.getByText(/a table from this computer/));
    expect(deeds).toEqual(['pick']);
    act(() => model.suggest('data/banks.csv'));
    fireEvent.click(screen.getByText('Profile and chart banks.csv'));
    expect(attached).toEqual(['data/banks.csv']);
  });

  it('says that the demo is no AI, and offers a model of this machine', () => {
    const { model } = services;
    const server = { name: 'ollama', base_url: 'x', models: ['ollama/llama'] };
    model.status = {
      models: {
        default: 'demo',
        data: [{ id: 'demo' }, { id: 'ollama/llama' }]
      },
      limits: {},
      local_models: [server]
    } as any;
    show(<Empty />);
    expect(screen.getByRole('note').textContent).toContain(
      'Ollama answers on this machine.'
    );
    fireEvent.click(screen.getByText('Use ollama/llama'));
    expect(model.model).toBe('ollama/llama');
    expect(screen.queryByRole('note')).toBeNull();
  });
});

describe('Notice', () => {
  it('offers what can be done, and the details on demand', () => {
    show(
      <Notice
        notice={{
          tone: 'error',
          title: 'Stopped.',
          text: 'So.',
          details: 'line 14',
          deeds: ['retry', 'lean']
        }}
      />
    );
    fireEvent.click(screen.getByText('Ask for a leaner way'));
    expect(deeds).toEqual(['lean']);
    expect(screen.queryByText('line 14')).toBeNull();
    fireEvent.click(screen.getByText('Details'));
    expect(screen.getByText('line 14')).toBeTruthy();
    expect(screen.getByRole('alert')).toBeTruthy();
  });
});

describe('UserText', () => {
  it('shows fenced code as code', () => {
    show(<UserText text={'Look:\n\n```python\nx = 1\n```\n\nThanks.'} />);
    expect(screen.getByText('x = 1').closest('pre')).not.toBeNull();
    expect(screen.getByText('Thanks.')).toBeTruthy();
  });
});

describe('filesOf', () => {
  it('has every file of a run once', () => {
    const message = reply('m', 'r', 'x');
    const annotation = {
      type: 'file_path',
      text: 'sandbox:/mnt/data/a.csv',
      file_path: { file_id: 'file-1' }
    };
    (message.content[0] as any).text.annotations = [annotation, annotation];
    message.attachments = [{ file_id: 'file-1' }, { file_id: 'file-2' }];
    expect(filesOf([message])).toEqual(['file-1', 'file-2']);
  });
});

describe('Panel', () => {
  it('shows a conversation to people and to screen readers', async () => {
    const { thread } = services.model;
    let state = withMessages(EMPTY, [
      userMessage('u', 'Question'),
      reply('a', 'r', 'Answer')
    ]);
    state = withRuns(state, [run('r', { status: 'completed' })]);
    thread.conversation = state;
    render(<Panel services={services} />);
    expect(screen.getByRole('log').getAttribute('aria-live')).toBe('off');
    expect(screen.getAllByText('Question')).toHaveLength(2); // and the title
    expect(await screen.findByText('Answer')).toBeTruthy();
    expect(screen.getByRole('status').textContent).toBe(''); // no news
    for (const button of screen.getAllByRole('button')) {
      const name = button.getAttribute('aria-label') ?? button.textContent;
      expect(name).not.toBe('');
    }
  });

  it('reads an answer out once, when it is there', () => {
    const { thread } = services.model;
    const words = () => screen.getByRole('status').textContent;
    const tell = (state: typeof EMPTY) =>
      act(() => {
        thread.conversation = state;
        (thread.changed as any).emit();
      });
    render(<Panel services={services} />);
    const going = withRuns(EMPTY, [run('r', { status: 'in_progress' })]);
    tell(going);
    expect(words()).toBe('The assistant is working.');
    tell(withMessages(going, [reply('a', 'r', 'It is')]));
    expect(words()).toBe('The assistant is working.');
    const over = withRuns(going, [run('r', { status: 'completed' })]);
    tell(withMessages(over, [reply('a', 'r', 'It is 42.')]));
    expect(words()).toBe('The answer is there. It is 42.');
  });
});
