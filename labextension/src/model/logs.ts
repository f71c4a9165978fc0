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
  if (!logs.includes('Traceback') && !/\w+Error\b/.test(logs)) {
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

/** A long text cut to its first and last lines. */
export interface IFolded {
  head: string;
  tail: string;
  /** Lines between them that are not shown. */
  hidden: number;
}

/**
 * Folds a text of more than *head* + *tail* lines (with a little slack, so that never one line
 * alone is hidden).
 */
export function fold(text: string, head: number, tail: number): IFolded {
  const lines = text.split('\n');
  const last = lines.length > 1 && lines[lines.length - 1] === '' ? 1 : 0;
  const count = lines.length - last;
  if (count <= head + tail + 3) {
    return { head: text, tail: '', hidden: 0 };
  }
  return {
    head: lines.slice(0, head).join('\n'),
    tail: lines.slice(count - tail).join('\n'),
    hidden: count - head - tail
  };
}
