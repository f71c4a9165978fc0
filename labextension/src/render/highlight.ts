/**
 * Code as CodeMirror colours it, in plain elements: no editor is made for what cannot be edited.
 */
import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { jupyterHighlightStyle } from '@jupyterlab/codemirror';
import type { Parser, Tree } from '@lezer/common';
import { TreeFragment } from '@lezer/common';
import { highlightTree } from '@lezer/highlight';

import { breathe } from './turns';

/**
 * Puts the colours of Lab's editors into the page; they come with the first editor otherwise.
 */
export function installHighlightStyle(): void {
  const id = 'jp-CIHighlightStyle';
  const rules = jupyterHighlightStyle.module?.getRules();
  if (rules && document.getElementById(id) === null) {
    const style = document.createElement('style');
    style.id = id;
    style.textContent = rules;
    document.head.appendChild(style);
  }
}

/** Characters after which a part of the code ends with its line; parts are laid out apart. */
const PART = 1500;

interface IPart {
  from: number;
  to: number;
  element: HTMLElement;
  /** What is in the element; empty where nothing is yet. */
  shown: string;
}

/**
 * Code in an element, coloured, also while it grows: then only its last part is parsed and
 * coloured anew. `settle` colours all of it once more, as an end may throw light on what is above.
 */
export class Highlighter {
  constructor(
    private readonly _host: HTMLElement,
    private readonly _registry: IEditorLanguageRegistry | null
  ) {}

  /** Shows *code*; whether all of it has its final colours. */
  async show(code: string, language: string): Promise<boolean> {
    const parser = await this._parserOf(language);
    const grows =
      parser === this._parser &&
      this._code !== '' &&
      code.startsWith(this._code);
    const from = grows ? this._code.length : 0;
    const old = grows ? this._tree : null;
    this._parser = parser;
    this._code = code;
    this._tree = parser && (await parse(parser, code, old, from));
    this._divide();
    const first = this._parts.findIndex(part => part.to >= from);
    await this._paint(Math.max(0, first));
    return from === 0;
  }

  /** Gives all of the code its final colours. */
  async settle(): Promise<void> {
    await this._paint(0);
  }

  private async _parserOf(language: string): Promise<Parser | null> {
    const registry = this._registry;
    const spec = language ? registry?.findBest(language, false) : null;
    if (!registry || !spec) {
      return null;
    }
    const { support } = (await registry.getLanguage(spec)) ?? {};
    return support?.language.parser ?? null;
  }

  /** Divides the code into parts. Those before the last stay the same while it grows. */
  private _divide(): void {
    const code = this._code;
    const old = this._parts;
    const parts: IPart[] = [];
    if (old.length === 0) {
      this._host.replaceChildren();
    }
    for (let from = 0; from < code.length;) {
      const line = code.indexOf('\n', from + PART);
      const to = line < 0 ? code.length : line + 1;
      const known = old[parts.length];
      parts.push({ ...(known ?? this._added(from, to)), from, to });
      from = to;
    }
    old.slice(parts.length).forEach(({ element }) => element.remove());
    this._parts = parts;
  }

  /** A part that is new, without colours for now. */
  private _added(from: number, to: number): Pick<IPart, 'element' | 'shown'> {
    const element = document.createElement('span');
    element.className = 'jp-CICode-part';
    element.textContent = this._code.slice(from, to);
    this._host.append(element);
    return { element, shown: '' };
  }

  private async _paint(first: number): Promise<void> {
    const parts = this._parts;
    for (const part of parts.slice(first)) {
      const { from, to, element } = part;
      const tokens = this._tokens(from, to);
      let added = 0;
      const shown = `${tokens.join()} ${this._code.slice(from, to)}`;
      if (shown !== part.shown) {
        part.shown = shown;
        element.replaceChildren(...spans(this._code, from, to, tokens));
        added = tokens.length / 3;
      }
      await breathe(added);
      if (parts !== this._parts) {
        return;
      }
    }
  }

  /** Start, end and classes of what has a colour, flat. */
  private _tokens(from: number, to: number): Array<number | string> {
    const tokens: Array<number | string> = [];
    if (this._tree) {
      const put = (start: number, end: number, classes: string) =>
        tokens.push(start, end, classes);
      highlightTree(this._tree, jupyterHighlightStyle, put, from, to);
    }
    return tokens;
  }

  private _code = '';
  private _parser: Parser | null = null;
  private _tree: Tree | null = null;
  private _parts: IPart[] = [];
}

/** Parses in small portions; the tree of a beginning of the code that ended at *from* helps. */
async function parse(
  parser: Parser,
  code: string,
  old: Tree | null,
  from: number
): Promise<Tree> {
  const known = old
    ? TreeFragment.applyChanges(TreeFragment.addTree(old), [
        { fromA: from, toA: from, fromB: from, toB: code.length }
      ])
    : undefined;
  const parsing = parser.startParse(code, known);
  for (let steps = 1; ; steps++) {
    const tree = parsing.advance();
    if (tree) {
      return tree;
    }
    if (steps % 32 === 0) {
      await breathe();
    }
  }
}

function spans(
  code: string,
  from: number,
  to: number,
  tokens: ReadonlyArray<number | string>
): Node[] {
  const nodes: Node[] = [];
  let at = from;
  for (let token = 0; token < tokens.length; token += 3) {
    const start = Math.max(tokens[token] as number, from);
    const end = Math.min(tokens[token + 1] as number, to);
    if (start > at) {
      nodes.push(document.createTextNode(code.slice(at, start)));
    }
    const span = document.createElement('span');
    span.className = tokens[token + 2] as string;
    span.textContent = code.slice(start, end);
    nodes.push(span);
    at = end;
  }
  if (at < to) {
    nodes.push(document.createTextNode(code.slice(at, to)));
  }
  return nodes;
}
