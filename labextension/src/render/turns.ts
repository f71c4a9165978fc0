/**
 * Rendering in small portions: one piece after another, and after a few milliseconds the browser
 * gets its turn, so that typing and scrolling never wait for a long answer.
 */

/** Milliseconds of work after which the browser gets its turn. */
const BUDGET = 8;

/** Elements put into the page after which it is laid out, before more come. */
const ELEMENTS = 300;

/** What is rendered again and again gets at most one part in this many of the time. */
const SHARE = 8;

/** Milliseconds after which a change is shown at the latest, however dear showing it is. */
const LONGEST = 2000;

/** Milliseconds after which work that waits (for a part of Lab to load) is left to itself. */
const PATIENCE = 1000;

interface IWork {
  due: number;
  work: () => void | Promise<void>;
}

const waiting = new Map<object, IWork>();
const rested = new WeakMap<object, number>();
let timer = 0;
let working = false;
let turn = 0;
let elements = 0;

/**
 * Has *work* done soon; what comes last is done first, as it stands where one looks.
 *
 * @param owner - what the work is for: its work that has not begun yet is replaced
 */
export function inTurn(owner: object, work: IWork['work']): void {
  waiting.delete(owner);
  waiting.set(owner, { due: rested.get(owner) ?? 0, work });
  if (!working) {
    wake(0);
  }
}

/** Leaves the work for *owner* undone. */
export function cancelTurn(owner: object): void {
  waiting.delete(owner);
}

/**
 * Lets the browser have its turn if it waits for it.
 *
 * @param added - how many elements have come into the page since the last call
 */
export async function breathe(added = 0): Promise<void> {
  elements += added;
  if (elements > ELEMENTS) {
    await frame();
  } else if (performance.now() - turn > BUDGET) {
    await pause(0);
  } else {
    return;
  }
  turn = performance.now();
}

/** The time after the next picture of the page; pages that are not seen have none. */
function frame(): Promise<unknown> {
  elements = 0;
  const drawn = new Promise(resolve => requestAnimationFrame(resolve));
  return Promise.race([drawn.then(() => pause(0)), pause(100)]);
}

function pause(milliseconds: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, milliseconds));
}

function wake(after: number): void {
  clearTimeout(timer);
  timer = window.setTimeout(() => void workOff(), after);
}

async function workOff(): Promise<void> {
  if (working) {
    return;
  }
  working = true;
  turn = performance.now();
  elements = 0;
  for (let next = take(); next; next = take()) {
    const [owner, { work }] = next;
    const began = performance.now();
    try {
      await Promise.race([work(), pause(PATIENCE)]);
    } catch (error) {
      console.warn(error);
    }
    const now = performance.now();
    rested.set(owner, now + Math.min((now - began) * SHARE, LONGEST));
    await breathe();
  }
  working = false;
  if (waiting.size > 0) {
    const due = Math.min(...[...waiting.values()].map(({ due }) => due));
    wake(Math.max(0, due - performance.now()));
  }
}

/** Takes the newest work whose time has come. */
function take(): [object, IWork] | undefined {
  const now = performance.now();
  let found: [object, IWork] | undefined;
  for (const entry of waiting) {
    if (entry[1].due <= now) {
      found = entry;
    }
  }
  if (found) {
    waiting.delete(found[0]);
  }
  return found;
}
