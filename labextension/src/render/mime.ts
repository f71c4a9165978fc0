/**
 * Which of the forms of a rich output is shown, and how. Pure.
 */
export type Form =
  | { kind: 'chart'; mime: string; asks: boolean }
  | { kind: 'html'; source: string }
  | { kind: 'frame'; source: string }
  | { kind: 'markdown'; source: string }
  | { kind: 'latex'; source: string }
  | { kind: 'image'; url: string }
  | { kind: 'json'; mime: string }
  | { kind: 'missing'; mime: string }
  | { kind: 'text'; source: string };

/** Charts that a renderer of Lab or of an extension draws from their description. */
const CHART =
  /^application\/(?:vnd\.vega(?:lite)?\.v\d+(?:\.\d+)*\+json|vnd\.plotly\.v\d+\+json|geo\+json)$/;

const GEOJSON = 'application/geo+json';

const IMAGES = ['image/png', 'image/jpeg', 'image/gif', 'image/webp'];

/**
 * The form to show.
 *
 * @param known - the MIME types that the application can render
 * @param fetches - whether drawing a chart might fetch something; it then asks first
 */
export function formOf(
  data: Readonly<Record<string, unknown>>,
  known: readonly string[],
  fetches: (spec: unknown) => boolean
): Form | null {
  const charts = Object.keys(data).filter(mime => CHART.test(mime));
  const chart = charts.find(mime => known.includes(mime));
  if (chart) {
    const asks = chart === GEOJSON || fetches(data[chart]);
    return { kind: 'chart', mime: chart, asks };
  }
  const text = (mime: string) => textOf(data[mime]);
  const html = text('text/html');
  // A chart's HTML draws it by a script, which does not run here.
  if (html && !(charts.length > 0 && /<script\b/i.test(html))) {
    return isStyled(html)
      ? { kind: 'frame', source: html }
      : { kind: 'html', source: html };
  }
  const latex = text('text/latex');
  if (latex) {
    return { kind: 'latex', source: latex };
  }
  const svg = text('image/svg+xml');
  if (svg) {
    const url = `data:image/svg+xml,${encodeURIComponent(svg)}`;
    return { kind: 'image', url };
  }
  for (const mime of IMAGES) {
    const source = text(mime);
    if (source) {
      return { kind: 'image', url: `data:${mime};base64,${source.trim()}` };
    }
  }
  const markdown = text('text/markdown');
  if (markdown) {
    return { kind: 'markdown', source: markdown };
  }
  for (const mime of [GEOJSON, 'application/json']) {
    if (data[mime] !== undefined) {
      return { kind: 'json', mime };
    }
  }
  if (charts.length > 0) {
    return { kind: 'missing', mime: charts[0] };
  }
  const plain = text('text/plain');
  return plain ? { kind: 'text', source: plain } : null;
}

/** nbformat allows a text to be given as a list of lines. */
function textOf(value: unknown): string {
  if (Array.isArray(value)) {
    return value.join('');
  }
  return typeof value === 'string' ? value : '';
}

/**
 * Whether HTML brings a style sheet without which it is not itself, as tables of pandas' Styler do.
 * (The small scoped one of every DataFrame is not missed.)
 */
function isStyled(html: string): boolean {
  return /<style\b/i.test(html.replace(/<style scoped>[^]*?<\/style>/gi, ''));
}

/** What would fetch, lead away or send, were it let. */
const LEADING = 'script, base, meta, link, iframe, frame, object, embed, area';
const ADDRESSES = ['href', 'xlink:href', 'action', 'formaction', 'ping'];

/**
 * A page for a frame in which no script runs and nothing is fetched.
 *
 * Links go as well: what one leads to would be asked for with the reader's cookies.
 */
export function framed(html: string): string {
  const policy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; " +
    "form-action 'none'; base-uri 'none'";
  const template = document.createElement('template');
  template.innerHTML = html;
  for (const element of template.content.querySelectorAll('*')) {
    if (element.matches(LEADING)) {
      element.remove();
    }
    ADDRESSES.forEach(name => element.removeAttribute(name));
  }
  return (
    `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}">` +
    '<style>body{margin:8px;font:12px sans-serif;background:#fff;color:#222}' +
    'table{border-collapse:collapse}td,th{padding:2px 8px;text-align:right}</style>' +
    template.innerHTML
  );
}
