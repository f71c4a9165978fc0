/**
 * A conversation as a value, and how each event of a run changes it: (state, event) → state.
 *
 * Pure: no network, no clock (the time comes with the event), no React. What an event does not
 * touch keeps its identity, so that a view re-renders only what changed. Events may be replayed
 * from the beginning of a run: `created` starts its object anew, deltas then build it up again.
 */
import type {
  Content,
  ICodeCall,
  IExecutionEvent,
  IStepDelta,
  Message,
  MessageDeltaEvent,
  Output,
  Run,
  Step,
  ToolCall
} from '../wire';

/** How far a code step is, between its first character and its last output. */
export interface IProgress {
  phase: 'writing' | 'waiting' | 'running';
  /** When the phase began, and when the last piece came; milliseconds. */
  since: number;
  touched: number;
}

export interface IConversation {
  readonly messages: Readonly<Record<string, Message>>;
  readonly runs: Readonly<Record<string, Run>>;
  readonly steps: Readonly<Record<string, Step>>;
  readonly progress: Readonly<Record<string, IProgress>>;
  /** Ids, oldest first. */
  readonly messageOrder: readonly string[];
  readonly runOrder: readonly string[];
  readonly stepOrder: Readonly<Record<string, readonly string[]>>;
}

export const EMPTY: IConversation = {
  messages: {},
  runs: {},
  steps: {},
  progress: {},
  messageOrder: [],
  runOrder: [],
  stepOrder: {}
};

/** An event of a run's stream, parsed. */
export interface IRunEvent {
  event: string;
  data: any;
}

const TERMINAL = new Set([
  'cancelled',
  'failed',
  'completed',
  'incomplete',
  'expired'
]);

/** Whether a run has come to its end. */
export function isOver(run: Run): boolean {
  return TERMINAL.has(run.status);
}

/** The text that a run has written. */
export function answerOf(state: IConversation, run: string): string {
  return state.messageOrder
    .map(id => state.messages[id])
    .filter(message => message.run_id === run)
    .flatMap(({ content }) => content)
    .map(part => (part.type === 'text' ? part.text.value : ''))
    .join('\n')
    .trim();
}

/**
 * The conversation after one more event; events that mean nothing here change nothing.
 *
 * @param now - the time in milliseconds, for the progress of code steps
 */
export function reduce(
  state: IConversation,
  { event, data }: IRunEvent,
  now: number
): IConversation {
  switch (event) {
    case 'thread.message.delta':
      return withMessageDelta(state, data as MessageDeltaEvent);
    case 'thread.run.step.delta':
      return withStepDelta(state, data as IStepDelta, now);
    case 'thread.run.step.execution':
      return withExecution(state, data as IExecutionEvent, now);
  }
  if (event.startsWith('thread.message.')) {
    return withMessages(state, [data as Message]);
  }
  if (event.startsWith('thread.run.step.')) {
    const step = data as Step;
    // The two events that open a step carry it empty; the second must not undo a replayed delta.
    if (
      event === 'thread.run.step.in_progress' &&
      state.steps[step.id]?.status === 'in_progress'
    ) {
      return state;
    }
    return withSteps(state, step.run_id, [step]);
  }
  if (event.startsWith('thread.run.')) {
    return withRuns(state, [data as Run]);
  }
  return state;
}

/** Adds or replaces messages; new ones are sorted in by time, in the order given. */
export function withMessages(
  state: IConversation,
  messages: readonly Message[]
): IConversation {
  const all = { ...state.messages };
  for (const message of messages) {
    all[message.id] = message;
  }
  return {
    ...state,
    messages: all,
    messageOrder: mergeOrder(state.messageOrder, messages, all)
  };
}

/** Forgets a message that did not come to be. */
export function withoutMessage(
  state: IConversation,
  id: string
): IConversation {
  const { [id]: _, ...messages } = state.messages;
  return {
    ...state,
    messages,
    messageOrder: state.messageOrder.filter(other => other !== id)
  };
}

/** Adds or replaces runs, in the order given. */
export function withRuns(
  state: IConversation,
  runs: readonly Run[]
): IConversation {
  const all = { ...state.runs };
  for (const run of runs) {
    all[run.id] = run;
  }
  return {
    ...state,
    runs: all,
    runOrder: mergeOrder(state.runOrder, runs, all)
  };
}

/** Adds or replaces steps of a run, in the order given. */
export function withSteps(
  state: IConversation,
  run: string,
  steps: readonly Step[]
): IConversation {
  const all = { ...state.steps };
  const order = [...(state.stepOrder[run] ?? [])];
  let progress = state.progress;
  for (const step of steps) {
    all[step.id] = step;
    if (!order.includes(step.id)) {
      order.push(step.id);
    }
    if (step.status !== 'in_progress' && step.id in progress) {
      const { [step.id]: _, ...others } = progress;
      progress = others;
    }
  }
  return {
    ...state,
    steps: all,
    progress,
    stepOrder: { ...state.stepOrder, [run]: order }
  };
}

function mergeOrder(
  order: readonly string[],
  objects: ReadonlyArray<{ id: string; created_at: number }>,
  all: Record<string, { created_at: number }>
): readonly string[] {
  const known = new Set(order);
  const fresh = objects.filter(({ id }) => !known.has(id));
  if (fresh.length === 0) {
    return order;
  }
  const merged = [...order];
  for (const { id, created_at } of fresh) {
    let at = merged.length;
    while (at > 0 && all[merged[at - 1]].created_at > created_at) {
      at--;
    }
    merged.splice(at, 0, id);
  }
  return merged;
}

function withMessageDelta(
  state: IConversation,
  event: MessageDeltaEvent
): IConversation {
  const message = state.messages[event.id];
  if (!message) {
    return state;
  }
  const content = [...message.content];
  for (const part of event.delta.content ?? []) {
    const old = content[part.index];
    if (part.type === 'text') {
      const text = old?.type === 'text' ? old.text : emptyText();
      const annotations = [...text.annotations];
      for (const { index, ...annotation } of part.text?.annotations ?? []) {
        annotations[index] = annotation as (typeof annotations)[number];
      }
      content[part.index] = {
        type: 'text',
        text: { value: text.value + (part.text?.value ?? ''), annotations }
      };
    } else {
      const { index, ...whole } = part;
      content[index] = whole as Content;
    }
  }
  for (let at = 0; at < content.length; at++) {
    content[at] ??= { type: 'text', text: emptyText() };
  }
  return {
    ...state,
    messages: { ...state.messages, [message.id]: { ...message, content } }
  };
}

function emptyText(): Extract<Content, { type: 'text' }>['text'] {
  return { value: '', annotations: [] };
}

function withStepDelta(
  state: IConversation,
  event: IStepDelta,
  now: number
): IConversation {
  const step = state.steps[event.id];
  if (!step || step.step_details.type !== 'tool_calls') {
    return state;
  }
  const calls = [...step.step_details.tool_calls];
  let phase: IProgress['phase'] | undefined;
  for (const delta of event.delta.step_details?.tool_calls ?? []) {
    const old = calls[delta.index];
    if (delta.type === 'code_interpreter') {
      const code = delta.code_interpreter ?? {};
      calls[delta.index] = codeCall(old, delta.id, code.input, code.outputs);
      phase = (code.outputs ?? []).length > 0 ? 'running' : 'writing';
    } else if (delta.type === 'function') {
      const call = old?.type === 'function' ? old.function : undefined;
      calls[delta.index] = {
        id: delta.id ?? old?.id ?? '',
        type: 'function',
        function: {
          name: (call?.name ?? '') + (delta.function?.name ?? ''),
          arguments:
            (call?.arguments ?? '') + (delta.function?.arguments ?? ''),
          output: delta.function?.output ?? call?.output ?? null
        }
      };
    }
  }
  const steps = {
    ...state.steps,
    [step.id]: {
      ...step,
      step_details: {
        type: 'tool_calls' as const,
        tool_calls: calls.filter(Boolean)
      }
    }
  };
  return {
    ...state,
    steps,
    progress: phase
      ? { ...state.progress, [step.id]: advance(state, step.id, phase, now) }
      : state.progress
  };
}

function codeCall(
  old: ToolCall | undefined,
  id: string | undefined,
  input: string | undefined,
  deltas: Array<{ index: number } & Partial<Output>> = []
): ICodeCall {
  const before = old?.type === 'code_interpreter' ? old : undefined;
  const outputs = [...(before?.code_interpreter.outputs ?? [])];
  for (const { index, ...delta } of deltas) {
    const output = outputs[index];
    outputs[index] =
      delta.type === 'logs' && output?.type === 'logs'
        ? { type: 'logs', logs: output.logs + (delta.logs ?? '') }
        : delta.type === 'logs'
          ? { type: 'logs', logs: delta.logs ?? '' }
          : (delta as Output);
  }
  return {
    id: id ?? before?.id ?? '',
    type: 'code_interpreter',
    code_interpreter: {
      input: (before?.code_interpreter.input ?? '') + (input ?? ''),
      outputs: Array.from(
        outputs,
        output => output ?? { type: 'logs', logs: '' }
      )
    }
  };
}

function withExecution(
  state: IConversation,
  event: IExecutionEvent,
  now: number
): IConversation {
  if (state.steps[event.id]?.status !== 'in_progress') {
    return state;
  }
  return {
    ...state,
    progress: {
      ...state.progress,
      [event.id]: advance(state, event.id, event.state, now)
    }
  };
}

function advance(
  state: IConversation,
  id: string,
  phase: IProgress['phase'],
  now: number
): IProgress {
  const old = state.progress[id];
  return {
    phase,
    since: old?.phase === phase ? old.since : now,
    touched: now
  };
}
