/**
 * Python as CodeMirror colours it, in a plain element: no editor is made for what cannot be edited.
 */
import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { jupyterHighlightStyle } from '@jupyterlab/codemirror';

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

/**
 * Replaces the content of *host* by highlighted code. A later call for the same host wins.
 */
export async function highlight(
  registry: IEditorLanguageRegistry,
  code: string,
  host: HTMLElement
): Promise<void> {
  latest.set(host, code);
  const fresh = document.createElement('code');
  await registry.highlight(code, registry.findByName('python'), fresh);
  if (latest.get(host) === code) {
    host.replaceChildren(...fresh.childNodes);
  }
}

const latest = new WeakMap<HTMLElement, string>();
