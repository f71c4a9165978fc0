import type { IEditorLanguageRegistry } from '@jupyterlab/codemirror';
import { LanguageSupport, StreamLanguage } from '@codemirror/language';

import { Highlighter } from '../render/highlight';
import { patch } from '../render/patch';
import { breathe, cancelTurn, inTurn } from '../render/turns';
import { until } from './server';

function parsed(html: string): DocumentFragment {
  const template = document.createElement('template');
  template.innerHTML = html;
  return template.content;
}

function hostOf(html: string): HTMLElement {
  const host = document.createElement('div');
  host.append(parsed(html));
  return host;
}

describe('patch', () => {
  it('leaves what is the same and adds what is new', async () => {
    const host = hostOf('<p>one</p><ul><li>a</li><li>b <b>c</b></li></ul>');
    const [paragraph, list] = host.children;
    const item = list.children[0];
    const after =
      '<p>one</p><ul><li>a</li><li>b <b>cd</b></li><li>e</li></ul><p>f</p>';
    await patch(host, parsed(after));
    expect(host.innerHTML).toBe(after);
    expect([...host.children].slice(0, 2)).toEqual([paragraph, list]);
    expect(list.children[0]).toBe(item);
  });

  it('takes away what is gone, and replaces what has other attributes', async () => {
    const host = hostOf('<p class="a">one</p>text<!-- c --><i>x</i>');
    await patch(host, parsed('<p class="b">one</p>other'));
    expect(host.innerHTML).toBe('<p class="b">one</p>other');
    await patch(host, parsed(''));
    expect(host.childNodes).toHaveLength(0);
  });

  it('puts much into the page in portions', async () => {
    const rows = Array.from(
      { length: 400 },
      (_, n) => `<tr><td>${n}</td></tr>`
    );
    const html = `<table><tbody>${rows.join('')}</tbody></table>`;
    const host = hostOf('');
    const done = patch(host, parsed(html));
    expect(host.querySelectorAll('tr').length).toBeLessThan(400);
    await done;
    expect(host.innerHTML).toBe(html);
  });
});

describe('turns', () => {
  it('does the newest work first, and one work for each owner', async () => {
    const done: string[] = [];
    const [a, b, c] = [{}, {}, {}];
    const note = (word: string) => () => {
      done.push(word);
    };
    inTurn(a, note('a'));
    inTurn(b, note('b'));
    inTurn(c, note('c'));
    inTurn(a, note('a again'));
    cancelTurn(b);
    await until(() => done.length === 2);
    expect(done).toEqual(['a again', 'c']);
  });

  it('goes on after work that fails', async () => {
    const warned = jest.spyOn(console, 'warn').mockImplementation(() => {});
    let done = false;
    inTurn({}, () => {
      done = true;
    });
    inTurn({}, () => Promise.reject(new Error('no')));
    await until(() => done);
    expect(warned).toHaveBeenCalledTimes(1);
    warned.mockRestore();
  });

  it('gives dear work that comes again and again a part of the time only', async () => {
    const owner = {};
    const times: number[] = [];
    const dear = () => {
      times.push(performance.now());
      while (performance.now() - times[times.length - 1] < 20) {
        // as rendering does
      }
    };
    inTurn(owner, dear);
    await until(() => times.length === 1);
    inTurn(owner, dear);
    await until(() => times.length === 2);
    expect(times[1] - times[0]).toBeGreaterThan(20 * 8);
  });

  it('lets others have their turn in long work', async () => {
    const order: string[] = [];
    let done = false;
    inTurn({}, async () => {
      setTimeout(() => order.push('other'));
      for (let n = 0; n < 3; n++) {
        const began = performance.now();
        while (performance.now() - began < 10) {
          // as parsing does
        }
        await breathe();
      }
      order.push('work');
      done = true;
    });
    await until(() => done);
    expect(order).toEqual(['other', 'work']);
  });
});

describe('Highlighter', () => {
  // A language with comments only, which counts the lines that it reads.
  let read = 0;
  const support = new LanguageSupport(
    StreamLanguage.define({
      token: stream => {
        read += stream.sol() ? 1 : 0;
        const comment = stream.peek() === '#';
        stream.skipToEnd();
        return comment ? 'comment' : null;
      }
    })
  );
  const spec = { name: 'lines', support };
  const languages = {
    findBest: (name: string) => (name === 'lines' ? spec : null),
    getLanguage: () => Promise.resolve(spec)
  } as unknown as IEditorLanguageRegistry;
  const line = (n: number) => `${n % 2 ? '#' : ''} line ${n}\n`;
  const text = (lines: number) =>
    Array.from({ length: lines }, (_, n) => line(n)).join('');

  it('shows code of any language as it is', async () => {
    const host = hostOf('before');
    const highlighter = new Highlighter(host, languages);
    for (const [code, language] of [
      ['a <b>', ''],
      [text(300), 'lines'],
      ['short', 'nothing'],
      ['', 'lines']
    ]) {
      await highlighter.show(code, language);
      expect(host.textContent).toBe(code);
    }
  });

  it('reads and paints only the end of code that grows', async () => {
    const host = hostOf('');
    const highlighter = new Highlighter(host, languages);
    expect(await highlighter.show(text(1000), 'lines')).toBe(true);
    const parts = [...host.children];
    const first = parts[0].firstChild;
    expect(parts.length).toBeGreaterThan(3);
    expect(host.querySelectorAll('.tok-comment')).toHaveLength(500);
    read = 0;
    const whole = text(1003) + '# end';
    expect(await highlighter.show(whole, 'lines')).toBe(false);
    expect(read).toBeLessThan(400);
    expect(host.textContent).toBe(whole);
    expect(host.querySelectorAll('.tok-comment')).toHaveLength(502);
    expect(host.children[0]).toBe(parts[0]);
    expect(parts[0].firstChild).toBe(first);
    await highlighter.settle();
    expect(parts[0].firstChild).toBe(first);
    expect(host.textContent).toBe(whole);
    await highlighter.show('other', 'lines');
    expect(host.textContent).toBe('other');
  });
});
