/**
 * Cuts Markdown into blocks that can be rendered one by one, so that a growing answer costs only
 * its last block. Pure.
 */

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const LIST = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;
const DEFINITION = /^ {0,3}\[[^\]]+\]:\s*\S/m;

/**
 * The blocks of *text*; joined by blank lines they say the same as the text does.
 *
 * A cut is made at a blank line only where nothing before it can reach over it: not inside of
 * fenced code, a formula or HTML, nor between the items of a list. A text that defines link
 * references is one block, as the definitions hold everywhere.
 */
export function blocksOf(text: string): string[] {
  if (DEFINITION.test(text)) {
    return [text];
  }
  const blocks: string[] = [];
  let block: string[] = [];
  let fence = '';
  let math = false;
  let blank = false;
  for (const line of text.split('\n')) {
    if (!fence && !math && line.trim() === '') {
      blank = true;
      block.push(line);
      continue;
    }
    if (blank && !fence && !math && mayStart(line, block)) {
      blocks.push(trimmed(block));
      block = [];
    }
    blank = false;
    block.push(line);
    const mark = FENCE.exec(line)?.[1];
    if (fence) {
      if (mark?.startsWith(fence) && line.trim() === mark) {
        fence = '';
      }
    } else if (mark) {
      fence = mark;
    } else if ((line.split('$$').length - 1) % 2 === 1) {
      math = !math;
    }
  }
  const rest = trimmed(block);
  if (rest) {
    blocks.push(rest);
  }
  return blocks;
}

/** Whether a line after a blank one starts something that the block above has no part in. */
function mayStart(line: string, above: readonly string[]): boolean {
  if (/^\s/.test(line)) {
    return false;
  }
  const first = above.find(other => other.trim() !== '') ?? '';
  if (/^\s*</.test(first)) {
    return false;
  }
  return !(LIST.test(line) && LIST.test(first));
}

function trimmed(lines: readonly string[]): string {
  return lines.join('\n').replace(/^\n+|\s+$/g, '');
}
