/**
 * Makes HTML of a model or of the code it wrote harmless beyond what JupyterLab's sanitizer does.
 *
 * Lab's sanitizer takes scripts and handlers away; it leaves remote images, command links, forms,
 * and classes and styles by which content could cover Lab or look like a part of it. Here only
 * what is listed stays, and nothing that is left makes the browser send a request.
 */
import type { IRenderMime } from '@jupyterlab/rendermime-interfaces';

import { breathe } from './turns';

/** Finds the file that a `sandbox:` address means; undefined where there is none. */
export type FindFile = (address: string) => string | undefined;

/** Attributes by which the panel recognises what it put into the page itself. */
export const FILE_LINK = 'data-ci-file';
export const FILE_IMAGE = 'data-ci-image';
export const REMOTE_IMAGE = 'data-ci-remote';

const FILE_MARK = '#ci-file:';

const TAGS = new Set(
  (
    'a abbr article b bdi bdo blockquote br caption center cite code col colgroup dd del details ' +
    'dfn div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark ol p pre q s ' +
    'samp section small span strike strong sub summary sup table tbody td tfoot th thead time tr ' +
    'tt u ul var wbr'
  ).split(' ')
);

/** Of these not even the text stays. */
const DROPPED = new Set(
  (
    'applet audio base button canvas datalist embed form frame frameset iframe link map math meta ' +
    'noscript object option picture portal script select slot source style svg template textarea ' +
    'title track video'
  ).split(' ')
);

const ATTRIBUTES = new Set(
  (
    'abbr align alt border class colspan datetime dir height href lang open reversed rowspan ' +
    'scope span src start style title valign width'
  ).split(' ')
);

/** Classes of highlighted code, terminal colours and pandas tables. */
const CLASSES = /^(?:\u037c\w+|language-[\w+-]+|ansi-[\w-]+|dataframe)$/;

const STYLES = [
  'background-color',
  'color',
  'font-style',
  'font-weight',
  'text-align',
  'text-decoration-line',
  'vertical-align'
];

const IMAGE_DATA = /^data:image\/(?:png|jpeg|gif|webp|svg\+xml)[;,]/i;

export class SafeSanitizer implements IRenderMime.ISanitizer {
  constructor(
    private readonly _inner: IRenderMime.ISanitizer,
    private readonly _find: FindFile = () => undefined,
    private readonly _blocked: (host: string) => string = host => host
  ) {}

  readonly allowNamedProperties = false;

  getAutolink(): boolean {
    return this._inner.getAutolink?.() ?? true;
  }

  sanitize(dirty: string, options?: IRenderMime.ISanitizerOptions): string {
    const template = document.createElement('template');
    template.innerHTML = this._inner.sanitize(this._mark(dirty), options);
    this._walk(template.content);
    return template.innerHTML;
  }

  /** The harmless part of *dirty* as nodes, which need not be written and parsed again. */
  async clean(dirty: string): Promise<DocumentFragment> {
    const half = this._inner.sanitize(this._mark(dirty));
    await breathe();
    const template = document.createElement('template');
    template.innerHTML = half;
    this._walk(template.content);
    return template.content;
  }

  /** Lab's sanitizer drops addresses of a scheme it does not know: give ours a form it keeps. */
  private _mark(dirty: string): string {
    if (!dirty.includes('sandbox:')) {
      return dirty;
    }
    const template = document.createElement('template');
    template.innerHTML = dirty;
    for (const [selector, name] of [
      ['a[href^="sandbox:"]', 'href'],
      ['img[src^="sandbox:"]', 'src']
    ]) {
      for (const element of template.content.querySelectorAll(selector)) {
        const address = element.getAttribute(name)!;
        element.setAttribute(name, FILE_MARK + encodeURIComponent(address));
      }
    }
    return template.innerHTML;
  }

  private _walk(parent: ParentNode): void {
    for (const element of [...parent.children]) {
      const tag = element.localName;
      if (tag === 'input') {
        // A task list's box; any other input is of no use here.
        const box = element.getAttribute('type') === 'checkbox';
        const mark = element.hasAttribute('checked') ? '\u2611 ' : '\u2610 ';
        element.replaceWith(box ? mark : '');
      } else if (
        DROPPED.has(tag) ||
        element.namespaceURI !== 'http://www.w3.org/1999/xhtml'
      ) {
        element.remove();
      } else if (!TAGS.has(tag)) {
        this._walk(element);
        element.replaceWith(...element.childNodes);
      } else {
        this._strip(element as HTMLElement);
        this._walk(element);
      }
    }
  }

  private _strip(element: HTMLElement): void {
    if (!element.hasAttributes() && element.localName !== 'img') {
      return;
    }
    for (const { name } of [...element.attributes]) {
      if (!ATTRIBUTES.has(name)) {
        element.removeAttribute(name);
      }
    }
    const classes = [...element.classList].filter(name => CLASSES.test(name));
    setOrRemove(element, 'class', classes.join(' '));
    setOrRemove(element, 'style', harmlessStyle(element));
    if (element.localName === 'a') {
      this._link(element);
    } else if (element.localName === 'img') {
      this._image(element);
    } else {
      element.removeAttribute('href');
      element.removeAttribute('src');
    }
  }

  private _link(element: HTMLElement): void {
    const href = element.getAttribute('href') ?? '';
    if (href.startsWith(FILE_MARK)) {
      const address = decodeURIComponent(href.slice(FILE_MARK.length));
      const file = this._find(address);
      element.removeAttribute('href');
      if (file !== undefined) {
        element.setAttribute('href', '#');
        element.setAttribute(FILE_LINK, file);
      } else {
        element.title = address;
      }
    } else if (/^(?:https?|mailto):/i.test(href)) {
      element.setAttribute('target', '_blank');
      element.setAttribute('rel', 'noopener noreferrer');
      element.title = href;
    } else {
      // A relative address would be one of the Jupyter server's own.
      element.removeAttribute('href');
    }
  }

  private _image(element: HTMLElement): void {
    const src = element.getAttribute('src') ?? '';
    element.setAttribute('alt', element.getAttribute('alt') ?? '');
    if (src.startsWith(FILE_MARK)) {
      const address = decodeURIComponent(src.slice(FILE_MARK.length));
      const file = this._find(address);
      element.removeAttribute('src');
      if (file === undefined) {
        element.replaceWith(element.getAttribute('alt') || address);
      } else {
        element.setAttribute(FILE_IMAGE, file);
      }
    } else if (/^https?:|^\/\//i.test(src)) {
      element.replaceWith(this._placeholder(src));
    } else if (!IMAGE_DATA.test(src)) {
      element.replaceWith(element.getAttribute('alt') ?? '');
    }
  }

  private _placeholder(src: string): HTMLElement {
    const button = document.createElement('a');
    button.setAttribute('href', '#');
    button.setAttribute('role', 'button');
    button.setAttribute(REMOTE_IMAGE, src);
    button.title = src;
    let host = src;
    try {
      host = new URL(src, 'https://nowhere.invalid').host;
    } catch {
      // shown as it is
    }
    button.textContent = this._blocked(host);
    return button;
  }
}

function setOrRemove(element: Element, name: string, value: string): void {
  if (value) {
    element.setAttribute(name, value);
  } else {
    element.removeAttribute(name);
  }
}

function harmlessStyle(element: HTMLElement): string {
  if (!element.hasAttribute('style')) {
    return '';
  }
  return STYLES.map(name => [name, element.style.getPropertyValue(name)])
    .filter(([, value]) => value && !/[(\\](?!\s*\d)|url|image/i.test(value))
    .map(([name, value]) => `${name}: ${value}`)
    .join('; ');
}

/** Takes the addresses that typeset formulas may have brought in away again. */
export function guardTypesetter(
  inner: IRenderMime.ILatexTypesetter
): IRenderMime.ILatexTypesetter {
  return {
    typeset: element => {
      const scrub = () => {
        for (const anchor of element.querySelectorAll('mjx-container a')) {
          const address =
            anchor.getAttribute('href') ??
            anchor.getAttributeNS('http://www.w3.org/1999/xlink', 'href') ??
            '';
          if (!/^https?:/i.test(address)) {
            anchor.removeAttribute('href');
            anchor.removeAttributeNS('http://www.w3.org/1999/xlink', 'href');
          }
        }
      };
      const done = inner.typeset(element);
      if (done instanceof Promise) {
        return done.then(scrub);
      }
      scrub();
    }
  };
}

/**
 * Whether drawing a chart could make the browser fetch something: any address in its
 * specification, or a kind of map that comes with one.
 */
export function fetchesRemotely(value: unknown, template = false): boolean {
  if (typeof value === 'string') {
    return /^\s*(?:[a-z][a-z0-9+.-]*:)?\/\/|url\(|<\s*(?:img|image|script|iframe|link)/i.test(
      value
    );
  }
  if (Array.isArray(value)) {
    return value.some(inner => fetchesRemotely(inner, template));
  }
  if (value !== null && typeof value === 'object') {
    return Object.entries(value).some(([key, inner]) => {
      // What is in every figure of Plotly: where its button would send it to, which it has not.
      if (key === '$schema' || (key === PLOTLY_SERVER && inner === PLOTLY)) {
        return false;
      }
      const address = key === 'url' || key === 'href' || key === 'topojsonURL';
      // Plotly's templates name the looks of all kinds of charts, and draw none.
      const map =
        !template &&
        key === 'type' &&
        typeof inner === 'string' &&
        /geo|choropleth|mapbox|^(?:scatter|density)map$/.test(inner);
      return (
        map ||
        (address && inner !== null) ||
        fetchesRemotely(inner, template || key === 'template')
      );
    });
  }
  return false;
}

const PLOTLY_SERVER = 'plotlyServerURL';
const PLOTLY = 'https://plot.ly';
