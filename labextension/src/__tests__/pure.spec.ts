import { nullTranslator } from '@jupyterlab/translation';

import { ApiError, errorOf } from '../client/errors';
import { xsrfToken } from '../client/upload';
import { fenced } from '../model/fences';
import { baseName, kindOf, pagesIn } from '../model/files';
import {
  ago,
  bytes,
  bytesOf,
  count,
  duration,
  fileName
} from '../model/format';
import { failureIn, fold, overwritten, pieces, plain } from '../model/logs';
import {
  consoleText,
  errorIn,
  ERROR_MIME,
  shownOutputs
} from '../model/outputs';
import { whyGone } from '../model/session';
import { readTable } from '../model/table';
import { noticeOfError, noticeOfRun } from '../model/words';
import { blocksOf } from '../render/markdown';
import { formOf, framed } from '../render/mime';
import { fetchesRemotely } from '../render/safe';
import type { ISession, Output } from '../wire';
import { run, TRACEBACK } from './wire';

const trans = nullTranslator.load('jupyter_ci_ext');

describe('logs', () => {
  it('finds the exception that a log ends in', () => {
    expect(failureIn(TRACEBACK)).toBe("KeyError: 'Closing Date'");
    expect(failureIn('before\n' + plain(TRACEBACK))).toBe(
      "KeyError: 'Closing Date'"
    );
    expect(failureIn('KeyError is a class of Python')).toBe('');
    expect(failureIn('all fine')).toBe('');
  });

  it('shows what a terminal shows of carriage returns', () => {
    expect(overwritten('10 %\r50 %\r100 %\ndone')).toBe('100 %\ndone');
    expect(overwritten('long line\rab')).toBe('abng line');
    expect(overwritten('dos\r\nlines\r\n')).toBe('dos\nlines\n');
  });

  it('folds the middle of a long text', () => {
    const text = Array.from({ length: 100 }, (_, at) => `${at}`).join('\n');
    const { head, tail, hidden } = fold(text, 2, 3);
    expect([head, tail, hidden]).toEqual(['0\n1', '97\n98\n99', 95]);
    expect(fold('1\n2\n3\n4\n5\n6\n7\n8', 2, 3).folded).toBe(false);
  });

  it('folds the middle of a long line', () => {
    const { head, tail, folded, hidden } = fold(`a${'x'.repeat(5000)}z`, 2, 3);
    expect([head.length, tail.length, folded, hidden]).toEqual([
      800,
      1200,
      true,
      0
    ]);
    expect(head[0] + tail[1199]).toBe('az');
    expect(fold(`a${'x'.repeat(5000)}z`, 0, 3).head).toBe('');
  });

  it('cuts a long text at its lines and carries its colours on', () => {
    const red = '\u001b[31m';
    expect(pieces(`one ${red}two\nthree\u001b[0m\nfour`, 13)).toEqual([
      `one ${red}two\n`,
      `${red}three\u001b[0m\n`,
      'four'
    ]);
    const line = `${'\u{1f600}'.repeat(5)}${red}end`;
    for (const size of [3, 9, 12]) {
      const cut = pieces(line, size);
      expect(cut.join('').replaceAll(red, '')).toBe(line.replace(red, ''));
      expect(cut.every(piece => piece.isWellFormed())).toBe(true);
    }
  });

  it('does not take long over a long word', () => {
    expect(failureIn('x'.repeat(300000) + 'Error')).toBe('');
  });
});

describe('outputs', () => {
  const logs: Output = { type: 'logs', logs: '   a\n0  1' };
  const table: Output = {
    type: 'display_data',
    data: { 'text/html': '<table></table>' },
    metadata: { replaces: 0 }
  };
  const error: Output = {
    type: 'display_data',
    data: {
      [ERROR_MIME]: { ename: 'KeyboardInterrupt', evalue: '', traceback: '' }
    },
    metadata: { replaces: 1 }
  };

  it('puts a rich form into the place of the plain one', () => {
    const image: Output = { type: 'image', image: { file_id: 'file-1' } };
    expect(shownOutputs([logs, image, table], false)).toEqual([table, image]);
  });

  it('leaves the traceback of a stop out', () => {
    const text: Output = { type: 'logs', logs: 'KeyboardInterrupt: ' };
    expect(shownOutputs([logs, text, error], true)).toEqual([logs]);
    expect(shownOutputs([logs, text, error], false)).toEqual([logs, error]);
    expect(errorIn([logs, text, error])).toBe('KeyboardInterrupt');
  });

  it('does not repeat a reason that is given elsewhere', () => {
    const note: Output = { type: 'logs', logs: '[It took too long.]\n' };
    const shown = shownOutputs([logs, note], true, 'It took too long.');
    expect(shown).toEqual([logs]);
  });

  it('begins a traceback without its line of dashes', () => {
    const traceback = `\u001b[31m${'-'.repeat(75)}\u001b[39m\nKeyError: 'x'`;
    const data = { [ERROR_MIME]: { ename: 'KeyError', traceback } };
    const output = { type: 'display_data' as const, data, metadata: {} };
    expect(consoleText(output)).toBe("KeyError: 'x'");
  });
});

describe('format', () => {
  it('writes sizes', () => {
    expect([312, 44 * 1024, 1.6 * 2 ** 30, 2 ** 31].map(bytes)).toEqual([
      '312 B',
      '44 kB',
      '1.6 GB',
      '2 GB'
    ]);
    expect(bytesOf(448 * 2 ** 20, 2 ** 31)).toBe('448 MB / 2 GB');
    expect(bytesOf(1.6 * 2 ** 30, 2 ** 31)).toBe('1.6 / 2 GB');
  });

  it('makes file names of titles', () => {
    expect(fileName(' ../a: "b"\n?.')).toBe('a b');
    expect(fileName('...')).toBe('conversation');
  });

  it('writes times', () => {
    expect([0.42, 14, 125, 3780].map(duration)).toEqual([
      '0.4 s',
      '14 s',
      '2 min 5 s',
      '1 h 3 min'
    ]);
    expect(count(3214)).toBe('3\u202f214');
    const now = new Date(2026, 10, 21, 15, 0).getTime();
    const before = (hours: number) =>
      ago(now - hours * 3600000, now, trans, 'en-GB');
    expect([0.001, 0.5, 3, 24, 96, 24 * 18].map(before)).toEqual([
      'just now',
      '30 min ago',
      '3 h ago',
      'yesterday',
      'Tuesday',
      '3 Nov'
    ]);
  });
});

describe('table', () => {
  it('reads quoted fields, counts rows and finds the delimiter', () => {
    const text = 'a;b\n"1;\n""x""";2\r\n3;4\n\n5;6';
    expect(readTable(text, true, 2)).toEqual({
      header: ['a', 'b'],
      rows: [
        ['1;\n"x"', '2'],
        ['3', '4']
      ],
      total: 3
    });
  });

  it('drops the last line of a beginning', () => {
    expect(readTable('a,b\n1,2\n3,', false, 9)).toEqual({
      header: ['a', 'b'],
      rows: [['1', '2']],
      total: null
    });
  });
});

describe('files', () => {
  it('knows what to preview', () => {
    expect(['a.PNG', 'b.csv', 'c.py', 'd.pdf', 'e.xlsx'].map(kindOf)).toEqual([
      'image',
      'table',
      'text',
      'pdf',
      'other'
    ]);
    expect(baseName('/mnt/data/x.csv')).toBe('x.csv');
  });

  it('counts the pages of a PDF', () => {
    const pdf = '<</Type /Pages /Count 2>> <</Type/Page >> <</Type /Page\n>>';
    expect(pagesIn(pdf)).toBe(2);
  });
});

describe('words', () => {
  const failed = (code: string, message: string) =>
    noticeOfRun(
      run('r', { status: 'failed', last_error: { code, message } as any }),
      trans
    )!;

  it('says what to do about each kind of failure', () => {
    const cases: Array<[string, string, string]> = [
      ['server_error', 'Stopped at the memory limit (2 GB)', 'lean'],
      ['server_error', 'bubblewrap is missing on this host', 'isolation'],
      ['rate_limit_exceeded', 'You exceeded your current quota', 'models'],
      ['rate_limit_exceeded', 'Rate limit reached for gpt-4o', 'retry'],
      ['server_error', 'Incorrect API key provided: sk-…', 'connect'],
      ['server_error', "The model 'x' does not exist", 'models'],
      ['invalid_prompt', 'maximum context length is 8192', 'new-thread'],
      ['server_error', 'The model server is unreachable', 'connect'],
      ['server_error', 'The server broke off in its answer.', 'retry'],
      ['invalid_prompt', 'it refused the request: no tools', 'models'],
      ['server_error', 'something else', 'retry']
    ];
    for (const [code, message, deed] of cases) {
      const notice = failed(code, message);
      expect(notice.deeds).toContain(deed);
      expect(notice.title).not.toBe('');
      expect(`${notice.text} ${notice.details}`).toContain(message);
    }
  });

  it('says what became of the variables after a stop', () => {
    const stopped = run('r', { status: 'cancelled' });
    expect(noticeOfRun(stopped, trans, true)!.text).toMatch(/^Variables and/);
    expect(noticeOfRun(stopped, trans, false)!.text).toMatch(
      /variables are gone/
    );
    expect(noticeOfRun(stopped, trans)!.text).toMatch(/^No code was running/);
    expect(noticeOfRun(run('r', { status: 'completed' }), trans)).toBeNull();
  });

  it('tells a missing server extension from a missing connection', () => {
    const missing = errorOf(404, '<html>not found</html>');
    expect(noticeOfError(missing, trans).text).toContain('jupyter_ci_ext');
    const gone = new ApiError(0, { message: 'x' });
    expect(noticeOfError(gone, trans).title).toContain('does not answer');
    const refused = errorOf(400, '{"error":{"message":"No.","code":null}}');
    expect(noticeOfError(refused, trans).text).toBe('No.');
  });
});

describe('session', () => {
  const session = {
    created_at: 1000,
    last_active_at: 2000,
    expires_at: 3800
  } as ISession;

  it('tells why a session is gone', () => {
    expect(whyGone(session, 2500)).toBe('died');
    expect(whyGone(session, 3801)).toBe('idle');
  });
});

describe('blocksOf', () => {
  const sources = (text: string) => blocksOf(text).map(({ source }) => source);

  it('cuts between paragraphs, headings and code', () => {
    const text =
      '# A\n\ntext\nmore\n```py title\nx = 1\n\n\ny\n```\nend\n\n~~~\na';
    expect(blocksOf(text)).toEqual([
      { source: '# A', language: null },
      { source: 'text\nmore', language: null },
      { source: 'x = 1\n\n\ny', language: 'py' },
      { source: 'end', language: null },
      { source: 'a', language: '' }
    ]);
  });

  it('keeps lists, formulas, HTML and what is not plain code together', () => {
    for (const text of [
      '1. a\n\n2. b\n\n   more of b',
      '- a\n\n  ```py\n  x\n\n  y\n  ```\n\n  end',
      '$$\na\n\nb\n$$',
      '$$\na\n```\nb\n$$',
      '<div>\n\n```\ntext\n```\n\n</div>',
      '```mermaid\na\n\nb\n```',
      '[a][1]\n\n[1]:\nhttps://example.org'
    ]) {
      expect(blocksOf(text)).toEqual([{ source: text, language: null }]);
    }
  });

  it('gives the definitions of links to those who use them', () => {
    const defined = '[1]: https://example.org "Title"';
    const text = `[a][1]\n\ntext [2]\n\n\`\`\`\n[1]\n\`\`\`\n\n${defined}\n[b]: x`;
    expect(sources(text)).toEqual([`[a][1]\n\n${defined}`, 'text [2]', '[1]']);
  });

  it('never changes a block before the last one while text is added', () => {
    const text =
      'Intro\n\n- a\n- b\n\nThen\n\n```py\nprint(1)\n\nprint(2)\n```\n\n| a |\n|---|\n| 1 |\n\nEnd.';
    let before: string[] = [];
    for (let end = 1; end <= text.length; end++) {
      const blocks = sources(text.slice(0, end));
      expect(blocks.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
      before = blocks;
    }
    expect(before).toHaveLength(6);
  });
});

describe('formOf', () => {
  const known = ['application/vnd.vegalite.v5+json'];

  it('takes the richest form that can be shown', () => {
    const form = (data: Record<string, unknown>) =>
      formOf(data, known, fetchesRemotely)?.kind;
    expect(form({ 'text/plain': 'x', 'text/html': '<b>x</b>' })).toBe('html');
    expect(form({ 'text/plain': 'x', 'image/png': 'AAAA' })).toBe('image');
    expect(form({ 'application/javascript': 'alert(1)' })).toBeUndefined();
    const plotly = { 'application/vnd.plotly.v1+json': {} };
    expect(form({ ...plotly, 'text/html': 'x' })).toBe('html');
    expect(form({ ...plotly, 'text/html': '<script>draw()</script>' })).toBe(
      'missing'
    );
    expect(form({ ...plotly, 'image/png': 'AAAA' })).toBe('image');
    expect(form({ 'application/geo+json': {}, 'text/plain': 'x' })).toBe(
      'json'
    );
    expect(form({ 'text/html': '<style>td{color:red}</style>' })).toBe('frame');
    expect(
      form({ 'text/html': '<style scoped>td{}</style><table></table>' })
    ).toBe('html');
  });

  it('draws a figure of Plotly as it comes, and asks for one that fetches', () => {
    const figure = (trace: object, layout: object = {}) => ({
      data: [trace],
      layout: {
        template: { data: { choropleth: [{ type: 'choropleth' }] } },
        ...layout
      },
      config: { plotlyServerURL: 'https://plot.ly' }
    });
    const bar = { type: 'bar', y: [1, 2] };
    const image = { images: [{ source: 'https://example.org/a.png' }] };
    expect(fetchesRemotely(figure(bar))).toBe(false);
    expect(fetchesRemotely(figure({ type: 'heatmap' }))).toBe(false);
    for (const other of [
      figure({ type: 'choropleth' }),
      figure({ type: 'scattermapbox' }),
      figure({ type: 'densitymap' }),
      figure(bar, image),
      figure(bar, { template: { layout: image } }),
      { ...figure(bar), config: { plotlyServerURL: 'https://example.org' } }
    ]) {
      expect(fetchesRemotely(other)).toBe(true);
    }
  });

  it('asks before it draws a chart that fetches', () => {
    const chart = (spec: object) =>
      formOf(
        { 'application/vnd.vegalite.v5+json': spec },
        known,
        fetchesRemotely
      );
    const $schema = 'https://vega.github.io/schema/vega-lite/v5.json';
    expect(chart({ $schema, data: { values: [{ a: 'x' }] } })).toMatchObject({
      asks: false
    });
    for (const spec of [
      { $schema, data: { url: 'data.csv' } },
      { $schema, layer: [{ mark: { type: 'image', url: '//x.org/a.png' } }] },
      { $schema, title: { text: '<img src=x>' } },
      { layout: { images: [{ source: 'http://x.org/a.png' }] } },
      { data: [{ type: 'choropleth' }] }
    ]) {
      expect(chart(spec)).toMatchObject({ asks: true });
    }
  });

  it('frames HTML without any rights', () => {
    const page = framed(
      '<style>b{color:red}</style><b onclick="x">x</b><script>x</script>' +
        '<a href="/logout" ping="/y">out</a><form action="/z"><button formaction="/z">' +
        '</form><svg><a xlink:href="/logout"></a></svg><meta http-equiv="refresh">' +
        '<iframe src="/logout"></iframe>'
    );
    expect(page).toContain("default-src 'none'");
    expect(page).toContain('<style>b{color:red}</style>');
    expect(page).not.toMatch(/script>|logout|refresh|\/[yz]/);
  });
});

describe('small things', () => {
  it('fences text that holds fences', () => {
    expect(fenced('a\n```\nb', 'text')).toBe('````text\na\n```\nb\n````\n');
  });

  it('reads the XSRF cookie', () => {
    expect(xsrfToken('a=1; _xsrf=2|abc; b=3')).toBe('2|abc');
    expect(xsrfToken('a=1')).toBeUndefined();
  });
});
