/* eslint-disable no-control-regex */
/**
 * Text that a program wrote for a terminal. Pure.
 */

const ESCAPES =
  /\u001b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\u0007\u001b]*(?:\u0007|\u001b\\))/g;

/** The text without terminal colours and other escape sequences. */
export function plain(text: string): string {
  return text.replace(ESCAPES, '');
}

/**
 * The exception that a log ends in, as "Name: message"; empty where there is none.
 */
export function failureIn(logs: string): string {
  if (!logs.includes('Traceback') && !logs.includes('Error')) {
    return '';
  }
  const text = plain(logs);
  const start = Math.max(
    text.lastIndexOf('Traceback (most recent call last)'),
    text.search(/^ {2}(?:File|Cell) .*\n(?:.*\n)*?\s*\^/m)
  );
  if (start < 0) {
    return '';
  }
  const after = text.slice(start).split('\n');
  for (let at = after.length - 1; at >= 0; at--) {
    const match =
      /^([A-Za-z_][\w.]*?(?:Error|Exception|Exit|Interrupt|Warning|StopIteration|Timeout|Expired)\w*)(?::\s*(.*))?$/.exec(
        after[at].trimEnd()
      );
    if (match) {
      const name = match[1].split('.').pop()!;
      return match[2] ? `${name}: ${match[2]}` : name;
    }
  }
  return '';
}

/**
 * What a terminal shows of a text with carriage returns: progress bars overwrite their line.
 */
export function overwritten(text: string): string {
  if (!text.includes('\r')) {
    return text;
  }
  return text
    .replace(/\r\n/g, '\n')
    .split('\n')
    .map(line => {
      const parts = line.split('\r');
      let shown = '';
      for (const part of parts) {
        if (part !== '') {
          shown = part + shown.slice(part.length);
        }
      }
      return shown;
    })
    .join('\n');
}

/** Characters of a line on average above which a text counts as longer than its lines are many. */
const WIDTH = 400;

/** A long text cut to its first and last lines. */
export interface IFolded {
  head: string;
  tail: string;
  /** Whether something between them is not shown, and how many whole lines of it. */
  folded: boolean;
  hidden: number;
}

/**
 * Folds a text of more than *head* + *tail* lines (with a little slack, so that never one line
 * alone is hidden), or of lines that are as long as many.
 */
export function fold(text: string, head: number, tail: number): IFolded {
  const lines = text.split('\n');
  const last = lines.length > 1 && lines[lines.length - 1] === '' ? 1 : 0;
  const count = lines.length - last;
  const [before, after] = [head * WIDTH, tail * WIDTH];
  if (count > head + tail + 3) {
    return {
      head: lines.slice(0, head).join('\n').slice(0, before),
      tail: ending(lines.slice(count - tail).join('\n'), after),
      folded: true,
      hidden: count - head - tail
    };
  }
  return text.length > before + after
    ? {
        head: text.slice(0, before),
        tail: ending(text, after),
        folded: true,
        hidden: 0
      }
    : { head: text, tail: '', folded: false, hidden: 0 };
}

function ending(text: string, length: number): string {
  return text.slice(Math.max(0, text.length - length));
}

/**
 * A long text in pieces of about *size* characters, cut at the ends of lines where there are any;
 * each begins in the colours that are in force there.
 */
export function pieces(text: string, size: number): string[] {
  const found: string[] = [];
  let colours: string[] = [];
  for (let from = 0; from < text.length;) {
    const to = endOfPiece(text, from, from + size);
    const piece = text.slice(from, to);
    found.push(colours.join('') + piece);
    for (const [colour, codes] of piece.matchAll(/\u001b\[([\d;]*)m/g)) {
      colours = /^0*$/.test(codes) ? [] : [...colours, colour].slice(-8);
    }
    from = to;
  }
  return found;
}

function endOfPiece(text: string, from: number, to: number): number {
  if (to >= text.length) {
    return text.length;
  }
  const line = text.lastIndexOf('\n', to - 1) + 1;
  if (line > from) {
    return line;
  }
  // Neither a terminal's escape nor a pair of surrogates is cut in two.
  const escape = text.lastIndexOf('\u001b', to);
  if (escape > from && escape > to - 20) {
    return escape;
  }
  return /[\udc00-\udfff]/.test(text[to]) ? to - 1 : to;
}
