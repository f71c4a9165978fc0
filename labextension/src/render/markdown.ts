/**
 * Cuts Markdown into blocks that can be rendered one by one, so that a growing answer costs only
 * its last block. Pure.
 */

/** A block: Markdown, or fenced code without its fences. */
export interface IBlock {
  source: string;
  /** The language of fenced code (empty where none is given); null for Markdown. */
  language: string | null;
}

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
/** A fence that cannot belong to anything above it, and what it says about its language. */
const OUTER_FENCE = /^(?:`{3,}([^`]*)|~{3,}(.*))$/;
const LIST = /^ {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)/;
const DEFINITION =
  /^ {0,3}\[([^\]]+)\]:[ \t]*\S+(?:[ \t]+(?:"[^"]*"|'[^']*'|\([^)]*\)))?[ \t]*$/;
/** The beginning of a definition that goes on in the next line. */
const OPEN_DEFINITION = /^ {0,3}\[[^\]]+\]:[ \t]*$/;

/** Drawn by the Markdown renderer itself. */
const DRAWN = new Set(['mermaid', 'mmd']);

/**
 * The blocks of *text*; one after another they say the same as the text does.
 *
 * A cut is made at a blank line only where nothing before it can reach over it: not inside of
 * fenced code, a formula or HTML, nor between the items of a list. Fenced code that is not
 * indented is a block of its own. Definitions of link references hold everywhere: the blocks that
 * refer to one get it, too.
 */
export function blocksOf(text: string): IBlock[] {
  const blocks: IBlock[] = [];
  const definitions = new Map<string, string>();
  let block: string[] = [];
  let fence = '';
  let language: string | null = null;
  let math = false;
  let blank = true;
  const cut = () => {
    const source = trimmed(block);
    if (language !== null) {
      blocks.push({ source: block.slice(1).join('\n'), language });
    } else if (source) {
      blocks.push({ source, language: null });
    }
    block = [];
    language = null;
  };
  for (const line of text.split('\n')) {
    if (fence) {
      const mark = FENCE.exec(line)?.[1];
      if (mark?.startsWith(fence) && line.trim() === mark) {
        fence = '';
        if (language !== null) {
          cut();
          blank = true;
          continue;
        }
      }
      block.push(line);
      continue;
    }
    if (!math && line.trim() === '') {
      blank = true;
      block.push(line);
      continue;
    }
    const outer = math || isHtml(block) ? null : OUTER_FENCE.exec(line);
    if (outer || (blank && !math && mayStart(line, block))) {
      cut();
    }
    const mark = FENCE.exec(line)?.[1];
    if (mark) {
      fence = mark;
      const named = (outer?.[1] ?? outer?.[2] ?? '').trim().split(/\s/, 1)[0];
      language = outer && !DRAWN.has(named) ? named : null;
    } else if ((line.split('$$').length - 1) % 2 === 1) {
      math = !math;
    } else if (blank && firstOf(block) === '' && DEFINITION.test(line)) {
      definitions.set(DEFINITION.exec(line)![1].toLowerCase(), line);
      continue; // it shows nothing itself, and another may follow at once
    } else if (OPEN_DEFINITION.test(line)) {
      return [{ source: text, language: null }];
    }
    blank = false;
    block.push(line);
  }
  cut();
  return definitions.size > 0 ? withDefinitions(blocks, definitions) : blocks;
}

/** Whether a line after a blank one starts something that the block above has no part in. */
function mayStart(line: string, above: readonly string[]): boolean {
  if (/^\s/.test(line) || isHtml(above)) {
    return false;
  }
  return !(LIST.test(line) && LIST.test(firstOf(above)));
}

function isHtml(block: readonly string[]): boolean {
  return /^\s*</.test(firstOf(block));
}

function firstOf(block: readonly string[]): string {
  return block.find(line => line.trim() !== '') ?? '';
}

function withDefinitions(
  blocks: readonly IBlock[],
  definitions: ReadonlyMap<string, string>
): IBlock[] {
  return blocks.map(block => {
    if (block.language !== null || !block.source.includes('[')) {
      return block;
    }
    const lower = block.source.toLowerCase();
    const used = [...definitions]
      .filter(([label]) => lower.includes(`[${label}]`))
      .map(([, line]) => line);
    return used.length === 0
      ? block
      : { ...block, source: `${block.source}\n\n${used.join('\n')}` };
  });
}

function trimmed(lines: readonly string[]): string {
  return lines.join('\n').replace(/^\n+|\s+$/g, '');
}
