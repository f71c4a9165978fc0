/**
 * What stands below what in a conversation: user messages, and runs with their texts and code in
 * the order in which they happened. Pure.
 */
import type { IFunctionCall, ICodeCall, Message, Run, Step } from '../wire';
import type { IConversation, IProgress } from './conversation';
import { isOver } from './conversation';
import { errorIn } from './outputs';

export type Part =
  | { kind: 'text'; key: string; message: Message }
  | {
      kind: 'code';
      key: string;
      step: Step;
      call: ICodeCall;
      outcome: IOutcome;
      progress: IProgress | undefined;
      /** Set on a failed attempt that a later one in the same run follows. */
      followed: '' | 'repaired' | 'retried';
    }
  | { kind: 'function'; key: string; step: Step; call: IFunctionCall };

export type Item =
  | { kind: 'message'; key: string; message: Message }
  | { kind: 'run'; key: string; run: Run | undefined; parts: Part[] };

/** How an execution of code went, as far as it has gone. */
export interface IOutcome {
  state: 'active' | 'done' | 'failed' | 'stopped' | 'timeout' | 'lost';
  /** The exception, where there was one: "KeyError: 'Closing Date'". */
  error: string;
  /** What the server says about an execution that did not end by itself. */
  reason: string;
  seconds: number | null;
  /** Whether the variables survived; null where the server does not say. */
  kept: boolean | null;
}

/**
 * The items of a conversation, oldest first.
 */
export function timeline(state: IConversation): Item[] {
  const items: Item[] = [];
  const placed = new Set<string>();
  const place = (id: string) => {
    if (!placed.has(id)) {
      placed.add(id);
      items.push({
        kind: 'run',
        key: id,
        run: state.runs[id],
        parts: partsOf(state, id)
      });
    }
  };
  const withMessages = new Set<string>();
  for (const id of state.messageOrder) {
    const run = state.messages[id].run_id;
    if (run) {
      withMessages.add(run);
    }
  }
  // Runs that wrote no message stand where their time of creation puts them.
  const silent = state.runOrder.filter(id => !withMessages.has(id));
  const placeSilent = (before: number) => {
    while (silent.length > 0 && state.runs[silent[0]].created_at < before) {
      place(silent.shift()!);
    }
  };
  for (const id of state.messageOrder) {
    const message = state.messages[id];
    placeSilent(message.created_at);
    if (message.run_id) {
      place(message.run_id);
    } else {
      items.push({ kind: 'message', key: id, message });
    }
  }
  placeSilent(Infinity);
  return items;
}

function partsOf(state: IConversation, run: string): Part[] {
  const parts: Part[] = [];
  const shown = new Set<string>();
  for (const id of state.stepOrder[run] ?? []) {
    const step = state.steps[id];
    const details = step.step_details;
    if (details.type === 'message_creation') {
      const message = state.messages[details.message_creation.message_id];
      if (message) {
        shown.add(message.id);
        parts.push({ kind: 'text', key: message.id, message });
      }
      continue;
    }
    for (const call of details.tool_calls) {
      const key = `${id}/${call.id}`;
      if (call.type === 'code_interpreter') {
        parts.push({
          kind: 'code',
          key,
          step,
          call,
          outcome: outcomeOf(step, call),
          progress: state.progress[id],
          followed: ''
        });
      } else if (call.type === 'function') {
        parts.push({ kind: 'function', key, step, call });
      }
    }
  }
  // Messages whose step is not known (not loaded, or written by another client).
  for (const id of state.messageOrder) {
    const message = state.messages[id];
    if (message.run_id === run && !shown.has(id)) {
      parts.push({ kind: 'text', key: id, message });
    }
  }
  markAttempts(parts);
  return parts;
}

/**
 * A failed attempt with its repair is one story: what failed before is folded by the view.
 */
function markAttempts(parts: Part[]): void {
  let next: Extract<Part, { kind: 'code' }> | undefined;
  for (let at = parts.length - 1; at >= 0; at--) {
    const part = parts[at];
    if (part.kind !== 'code') {
      continue;
    }
    if (next && part.outcome.state === 'failed') {
      part.followed =
        next.outcome.state === 'done' || next.followed === 'repaired'
          ? 'repaired'
          : 'retried';
    }
    next = part;
  }
}

const outcomes = new WeakMap<ICodeCall, [Step, IOutcome]>();

/** How the execution of a code step went: what the server says, else what the logs show. */
export function outcomeOf(step: Step, call: ICodeCall): IOutcome {
  const cached = outcomes.get(call);
  if (cached?.[0] === step) {
    return cached[1];
  }
  const outcome = judge(step, call);
  outcomes.set(call, [step, outcome]);
  return outcome;
}

function judge(step: Step, call: ICodeCall): IOutcome {
  const said = step.metadata ?? {};
  const over = step.status !== 'in_progress' || said.execution !== undefined;
  const error = over ? errorIn(call.code_interpreter.outputs) : '';
  return {
    state: stateOf(step, said.execution, error),
    error,
    reason: (said.reason ?? step.last_error?.message ?? '').replace(
      /^\(([^]*)\)$/,
      '$1'
    ),
    seconds: secondsOf(step, said.seconds),
    kept: said.kept === undefined ? null : said.kept === 'true'
  };
}

function stateOf(
  step: Step,
  said: string | undefined,
  error: string
): IOutcome['state'] {
  switch (said) {
    case 'ok':
      return 'done';
    case 'error':
      return 'failed';
    case 'interrupted':
      return 'stopped';
    case 'timeout':
      return 'timeout';
    case 'lost':
      return 'lost';
  }
  switch (step.status) {
    case 'in_progress':
      return 'active';
    case 'cancelled':
    case 'expired':
      return 'stopped';
    case 'failed':
      return 'failed';
    default:
      return error ? 'failed' : 'done';
  }
}

function secondsOf(step: Step, said: string | undefined): number | null {
  if (said !== undefined && Number.isFinite(Number(said))) {
    return Number(said);
  }
  const end = step.completed_at ?? step.failed_at ?? step.cancelled_at;
  return end === null || end === undefined ? null : end - step.created_at;
}

/** The code that ran, the images and the rich outputs of a run: what a summary counts. */
export function codeRuns(item: Item): number {
  return item.kind === 'run'
    ? item.parts.filter(part => part.kind === 'code').length
    : 0;
}

/** What a run's messages say, as Markdown. */
export function textOf(parts: readonly Part[]): string {
  return parts
    .flatMap(part => (part.kind === 'text' ? part.message.content : []))
    .flatMap(content => (content.type === 'text' ? [content.text.value] : []))
    .join('\n\n')
    .trim();
}

/** Whether any code has run in what is known of a conversation. */
export function hasRunCode(state: IConversation): boolean {
  return Object.values(state.steps).some(
    ({ step_details: details, metadata, status }) =>
      details.type === 'tool_calls' &&
      details.tool_calls.some(({ type }) => type === 'code_interpreter') &&
      (status === 'completed' || metadata?.execution !== undefined)
  );
}

/** Whether variables survived the last code of a run; null where that is not known. */
export function variablesKept(parts: readonly Part[]): boolean | null {
  for (let at = parts.length - 1; at >= 0; at--) {
    const part = parts[at];
    if (part.kind === 'code') {
      return part.outcome.kept;
    }
  }
  return null;
}

/** Ids of the images that a run's code steps show: its messages need not show them again. */
export function shownImages(parts: readonly Part[]): Set<string> {
  const ids = new Set<string>();
  for (const part of parts) {
    if (part.kind === 'code') {
      for (const output of part.call.code_interpreter.outputs) {
        if (output.type === 'image') {
          ids.add(output.image.file_id);
        }
      }
    }
  }
  return ids;
}

/** The run that goes on, if any; there is at most one in a thread. */
export function activeRun(state: IConversation): Run | undefined {
  for (let at = state.runOrder.length - 1; at >= 0; at--) {
    const run = state.runs[state.runOrder[at]];
    if (!isOver(run)) {
      return run;
    }
  }
  return undefined;
}
