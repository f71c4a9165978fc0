import type { IConversation, IRunEvent } from '../model/conversation';
import {
  EMPTY,
  isOver,
  reduce,
  withMessages,
  withRuns
} from '../model/conversation';
import { activeRun, timeline } from '../model/timeline';
import type { Part } from '../model/timeline';
import {
  codeStep,
  messageStep,
  reply,
  run,
  TRACEBACK,
  userMessage
} from './wire';

const codeDelta = (id: string, code: object): IRunEvent => ({
  event: 'thread.run.step.delta',
  data: {
    id,
    delta: {
      step_details: {
        type: 'tool_calls',
        tool_calls: [
          { index: 0, type: 'code_interpreter', code_interpreter: code }
        ]
      }
    }
  }
});

const textDelta = (id: string, index: number, text: object): IRunEvent => ({
  event: 'thread.message.delta',
  data: { id, delta: { content: [{ index, type: 'text', text }] } }
});

/** A run that writes, runs code, and writes again. */
const EVENTS: IRunEvent[] = [
  { event: 'thread.run.created', data: run('run_1') },
  {
    event: 'thread.run.in_progress',
    data: run('run_1', { status: 'in_progress' })
  },
  {
    event: 'thread.run.step.created',
    data: messageStep('step_1', 'run_1', 'msg_1')
  },
  { event: 'thread.message.created', data: reply('msg_1', 'run_1') },
  textDelta('msg_1', 0, { value: 'I look ', annotations: [] }),
  textDelta('msg_1', 0, { value: 'first.' }),
  {
    event: 'thread.message.completed',
    data: reply('msg_1', 'run_1', 'I look first.')
  },
  { event: 'thread.run.step.created', data: codeStep('step_2', 'run_1', null) },
  {
    event: 'thread.run.step.in_progress',
    data: codeStep('step_2', 'run_1', null)
  },
  codeDelta('step_2', { input: '', outputs: [] }),
  codeDelta('step_2', { input: 'print(' }),
  codeDelta('step_2', { input: '42)' }),
  codeDelta('step_2', { outputs: [{ index: 0, type: 'logs', logs: '4' }] }),
  codeDelta('step_2', { outputs: [{ index: 0, type: 'logs', logs: '2\n' }] }),
  codeDelta('step_2', {
    outputs: [{ index: 1, type: 'image', image: { file_id: 'file-1' } }]
  }),
  {
    event: 'thread.run.step.completed',
    data: codeStep('step_2', 'run_1', 'print(42)', [
      { type: 'logs', logs: '42\n' },
      { type: 'image', image: { file_id: 'file-1' } }
    ])
  },
  {
    event: 'thread.run.step.created',
    data: messageStep('step_3', 'run_1', 'msg_2')
  },
  { event: 'thread.message.created', data: reply('msg_2', 'run_1') },
  {
    event: 'thread.message.delta',
    data: {
      id: 'msg_2',
      delta: {
        content: [
          { index: 0, type: 'image_file', image_file: { file_id: 'file-1' } }
        ]
      }
    }
  },
  textDelta('msg_2', 1, { value: 'See [it](', annotations: [] }),
  textDelta('msg_2', 1, {
    value: 'sandbox:/mnt/data/a.csv',
    annotations: [
      {
        index: 0,
        type: 'file_path',
        text: 'sandbox:/mnt/data/a.csv',
        start_index: 9,
        end_index: 32,
        file_path: { file_id: 'file-2' }
      }
    ]
  }),
  textDelta('msg_2', 1, { value: ').' }),
  {
    event: 'thread.run.completed',
    data: run('run_1', { status: 'completed', completed_at: 9 })
  }
];

function play(events: IRunEvent[], state: IConversation = EMPTY) {
  return events.reduce((before, event) => reduce(before, event, 1000), state);
}

function partsOf(state: IConversation): Part[] {
  return timeline(state).flatMap(item =>
    item.kind === 'run' ? item.parts : []
  );
}

describe('reduce', () => {
  it('builds texts and code up from deltas', () => {
    const upTo = (count: number) => play(EVENTS.slice(0, count));
    expect(upTo(6).messages['msg_1'].content).toEqual([
      { type: 'text', text: { value: 'I look first.', annotations: [] } }
    ]);
    expect(upTo(15).steps['step_2'].step_details).toMatchObject({
      tool_calls: [
        {
          code_interpreter: {
            input: 'print(42)',
            outputs: [
              { type: 'logs', logs: '42\n' },
              { type: 'image', image: { file_id: 'file-1' } }
            ]
          }
        }
      ]
    });
    const { content } = play(EVENTS).messages['msg_2'];
    expect(content[0]).toEqual({
      type: 'image_file',
      image_file: { file_id: 'file-1' }
    });
    expect(content[1]).toMatchObject({
      text: {
        value: 'See [it](sandbox:/mnt/data/a.csv).',
        annotations: [{ file_path: { file_id: 'file-2' } }]
      }
    });
  });

  it('comes to the same when the events are played again', () => {
    const once = play(EVENTS);
    expect(play(EVENTS, once)).toEqual(once);
  });

  it('comes to the same from any point at which the state was fetched', () => {
    const once = play(EVENTS);
    for (let cut = 0; cut < EVENTS.length; cut++) {
      expect(play(EVENTS, play(EVENTS.slice(0, cut)))).toEqual(once);
    }
  });

  it('keeps the identity of what an event does not touch', () => {
    const before = play(EVENTS.slice(0, 12));
    const after = reduce(before, EVENTS[12], 1000);
    expect(after.messages).toBe(before.messages);
    expect(after.runs).toBe(before.runs);
    expect(after.steps['step_1']).toBe(before.steps['step_1']);
    expect(after.steps['step_2']).not.toBe(before.steps['step_2']);
  });

  it('is not moved by unknown events, and by deltas of what it does not know', () => {
    const state = play(EVENTS);
    for (const event of [
      { event: 'thread.session.status', data: {} },
      { event: 'done', data: '[DONE]' },
      textDelta('msg_none', 0, { value: 'x' }),
      codeDelta('step_none', { input: 'x' })
    ]) {
      expect(reduce(state, event, 1000)).toBe(state);
    }
  });

  it('tells the phases of code apart, and when each began', () => {
    let state = play(EVENTS.slice(0, 9));
    state = reduce(state, codeDelta('step_2', { input: 'a' }), 100);
    state = reduce(state, codeDelta('step_2', { input: 'b' }), 200);
    expect(state.progress['step_2']).toEqual({
      phase: 'writing',
      since: 100,
      touched: 200
    });
    const execution = (phase: string) => ({
      event: 'thread.run.step.execution',
      data: { id: 'step_2', state: phase }
    });
    state = reduce(state, execution('waiting'), 300);
    expect(state.progress['step_2'].phase).toBe('waiting');
    state = reduce(state, execution('running'), 400);
    const output = { outputs: [{ index: 0, type: 'logs', logs: 'x' }] };
    state = reduce(state, codeDelta('step_2', output), 500);
    expect(state.progress['step_2']).toEqual({
      phase: 'running',
      since: 400,
      touched: 500
    });
    state = reduce(state, EVENTS[15], 600);
    expect(state.progress).toEqual({});
  });
});

describe('timeline', () => {
  it('has texts and code in the order in which they came', () => {
    const state = withMessages(play(EVENTS), [userMessage('msg_0', 'Hi', 0)]);
    expect(timeline(state).map(({ key }) => key)).toEqual(['msg_0', 'run_1']);
    expect(partsOf(state).map(({ kind }) => kind)).toEqual([
      'text',
      'code',
      'text'
    ]);
  });

  it('keeps runs of one second with their own questions', () => {
    let state = withMessages(EMPTY, [
      userMessage('u1', 'one'),
      reply('a1', 'r1', 'first'),
      userMessage('u2', 'two'),
      reply('a2', 'r2', 'second')
    ]);
    state = withRuns(state, [run('r1'), run('r2')]);
    expect(timeline(state).map(({ key }) => key)).toEqual([
      'u1',
      'r1',
      'u2',
      'r2'
    ]);
  });

  it('places a run without messages by its time', () => {
    let state = withMessages(EMPTY, [
      userMessage('u1', 'one', 1),
      userMessage('u2', 'two', 9)
    ]);
    state = withRuns(state, [run('r1', { created_at: 2, status: 'failed' })]);
    expect(timeline(state).map(({ key }) => key)).toEqual(['u1', 'r1', 'u2']);
  });

  it('sorts earlier messages in before later ones', () => {
    let state = withMessages(EMPTY, [userMessage('u2', 'two', 5)]);
    state = withMessages(state, [userMessage('u1', 'one', 3)]);
    expect(state.messageOrder).toEqual(['u1', 'u2']);
  });

  it('folds a failed attempt that a later one repairs', () => {
    const steps = [
      codeStep('s1', 'r', 'a', [{ type: 'logs', logs: TRACEBACK }]),
      codeStep('s2', 'r', 'b', [{ type: 'logs', logs: TRACEBACK }]),
      codeStep('s3', 'r', 'c', [{ type: 'logs', logs: 'fine' }])
    ];
    const state = play(
      steps.map(data => ({ event: 'thread.run.step.completed', data })),
      withRuns(EMPTY, [run('r')])
    );
    const parts = partsOf(state);
    expect(parts.map(part => part.kind === 'code' && part.followed)).toEqual([
      'repaired',
      'repaired',
      ''
    ]);
    expect(parts[0]).toMatchObject({
      outcome: { state: 'failed', error: "KeyError: 'Closing Date'" }
    });
  });

  it('believes what the server says about an execution', () => {
    for (const [execution, state] of [
      ['ok', 'done'],
      ['error', 'failed'],
      ['interrupted', 'stopped'],
      ['timeout', 'timeout'],
      ['lost', 'lost']
    ]) {
      const metadata = { execution, seconds: '1.240', reason: 'so' };
      const data = codeStep('s', 'r', 'x', [], { metadata });
      const [part] = partsOf(
        play(
          [{ event: 'thread.run.step.completed', data }],
          withRuns(EMPTY, [run('r')])
        )
      );
      expect(part).toMatchObject({
        outcome: { state, seconds: 1.24, reason: 'so' }
      });
    }
  });
});

describe('activeRun', () => {
  it('is the run that is not over', () => {
    const over = run('r1', { status: 'completed' });
    expect(isOver(over)).toBe(true);
    expect(activeRun(withRuns(EMPTY, [over]))).toBeUndefined();
    const waiting = run('r2', { status: 'requires_action', created_at: 2 });
    expect(activeRun(withRuns(EMPTY, [over, waiting]))).toBe(waiting);
  });
});
