import { Sanitizer } from '@jupyterlab/apputils/lib/sanitizer';

import { guardTypesetter, SafeSanitizer } from '../render/safe';

const files: Record<string, string> = {
  'sandbox:/mnt/data/a b.csv': 'file-1',
  'sandbox:/mnt/data/p.png': 'file-2'
};
const sanitizer = new SafeSanitizer(
  new Sanitizer(),
  address => files[address],
  host => `blocked ${host}`
);

function clean(html: string): HTMLElement {
  const host = document.createElement('div');
  host.innerHTML = sanitizer.sanitize(html);
  return host;
}

describe('SafeSanitizer', () => {
  it.each([
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    '<svg><script>alert(1)</script></svg>',
    '<svg onload=alert(1)>',
    '<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>',
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>">',
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    '<a href="javascript:alert(1)">x</a>',
    '<a href="  java\nscript:alert(1)">x</a>',
    '<a href="data:text/html,<script>alert(1)</script>">x</a>',
    '<form action="https://evil.org"><input name=a><button>go</button></form>',
    '<object data="https://evil.org/a"></object><embed src="https://evil.org">',
    '<base href="https://evil.org/"><meta http-equiv="refresh" content="0">',
    '<style>body{display:none}</style>',
    '<template><img src=x onerror=alert(1)></template>'
  ])('takes away what runs, sends or restyles: %s', html => {
    const host = clean(html);
    expect(
      host.querySelector(
        'script,style,svg,math,iframe,object,embed,form,input,button,base,meta,template,noscript'
      )
    ).toBeNull();
    for (const element of host.querySelectorAll('*')) {
      for (const { name, value } of element.attributes) {
        expect(name).not.toMatch(/^on|^formaction|^srcdoc/);
        expect(value).not.toMatch(/^\s*(?:java\s*script|data:text)/i);
      }
    }
  });

  it.each([
    '<img src="https://evil.org/a.png">',
    '<img src="//evil.org/a.png">',
    '<img srcset="https://evil.org/a.png 2x">',
    '<picture><source srcset="https://evil.org/a.png"><img></picture>',
    '<video poster="https://evil.org/a.png" src="https://evil.org/a"></video>',
    '<audio src="https://evil.org/a"></audio>',
    '<track src="https://evil.org/a">',
    '<div style="background:url(https://evil.org/a)">x</div>',
    '<div style="background-image:url(//evil.org/a);color:red">x</div>',
    '<table background="https://evil.org/a"><tr><td>x</td></tr></table>',
    '<link rel="stylesheet" href="https://evil.org/a.css">',
    '<img src="/user/alice/api/contents">',
    '<img src="relative.png">'
  ])('lets nothing be fetched: %s', html => {
    const host = clean(html);
    for (const element of host.querySelectorAll('*')) {
      for (const name of ['src', 'srcset', 'poster', 'background', 'style']) {
        expect(element.getAttribute(name) ?? '').not.toMatch(
          /\/\/|url|^\/|rel/
        );
      }
    }
    expect(host.querySelector('source,video,audio,track,link')).toBeNull();
  });

  it('offers to load a remote image', () => {
    const button = clean('<img src="https://evil.org/a.png">').querySelector(
      '[data-ci-remote]'
    )!;
    expect(button.textContent).toBe('blocked evil.org');
    expect(button.getAttribute('data-ci-remote')).toBe(
      'https://evil.org/a.png'
    );
  });

  it('does not let content pass for a part of Lab or of the panel', () => {
    const host = clean(
      '<div class="jp-Dialog dataframe" id="jupyterlab" style="position:fixed;top:0;z-index:99;color:red" ' +
        'data-commandlinker-command="terminal:create-new" data-ci-file="file-9" role="dialog">x</div>'
    );
    const div = host.firstElementChild!;
    expect([...div.attributes].map(({ name }) => name).sort()).toEqual([
      'class',
      'style'
    ]);
    expect(div.className).toBe('dataframe');
    expect(div.getAttribute('style')).toBe('color: red');
  });

  it('turns sandbox: addresses into files, in links and images', () => {
    const host = clean(
      '<a href="sandbox:/mnt/data/a b.csv">a</a><img src="sandbox:/mnt/data/p.png" alt="p">' +
        '<a href="sandbox:/mnt/data/none">n</a>'
    );
    const [found, missing] = host.querySelectorAll('a');
    expect(found.getAttribute('data-ci-file')).toBe('file-1');
    expect(missing.hasAttribute('href')).toBe(false);
    const image = host.querySelector('img')!;
    expect(image.getAttribute('data-ci-image')).toBe('file-2');
    expect(image.hasAttribute('src')).toBe(false);
  });

  it('keeps links to the web, away from this page, and no others', () => {
    const host = clean(
      '<a href="https://example.org/">w</a><a href="/user/alice/logout">l</a><a href="files/x.html">r</a>'
    );
    const [web, ...local] = host.querySelectorAll('a');
    expect(web.getAttribute('rel')).toBe('noopener noreferrer');
    expect(web.getAttribute('target')).toBe('_blank');
    expect(local.map(link => link.hasAttribute('href'))).toEqual([
      false,
      false
    ]);
  });

  it('keeps what tables, colours, code and images in the text need', () => {
    const host = clean(
      '<table class="dataframe" border="1"><tr><td colspan="2">1</td></tr></table>' +
        '<pre><span class="ansi-red-fg">e</span></pre><code class="language-python">x</code>' +
        '<img src="data:image/png;base64,AAAA" alt="i"><ul><li><input type="checkbox" checked disabled> done</li></ul>'
    );
    expect(host.querySelector('td')!.getAttribute('colspan')).toBe('2');
    expect(host.querySelector('.ansi-red-fg')).not.toBeNull();
    expect(host.querySelector('.language-python')).not.toBeNull();
    expect(host.querySelector('img')!.src).toContain('data:image/png');
    expect(host.textContent).toContain('\u2611');
  });
});

describe('guardTypesetter', () => {
  it('takes addresses out of formulas that are not of the web', () => {
    const element = document.createElement('div');
    const guarded = guardTypesetter({
      typeset: host => {
        host.innerHTML =
          '<mjx-container><a href="javascript:alert(1)">x</a><a href="https://a.org">y</a></mjx-container>';
      }
    });
    void guarded.typeset(element);
    expect(
      [...element.querySelectorAll('a')].map(link => link.getAttribute('href'))
    ).toEqual([null, 'https://a.org']);
  });
});
