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
  | { kind: 'text'; source: string };

/** Charts that a renderer of Lab or of an extension draws from their description. */
const CHART =
  /^application\/(?:vnd\.vega(?:lite)?\.v\d+(?:\.\d+)*\+json|vnd\.plotly\.v\d+\+json|geo\+json)$/;

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
  const chart = Object.keys(data).find(
    mime => CHART.test(mime) && known.includes(mime)
  );
  if (chart) {
    const asks = chart === 'application/geo+json' || fetches(data[chart]);
    return { kind: 'chart', mime: chart, asks };
  }
  const text = (mime: string) => textOf(data[mime]);
  const html = text('text/html');
  if (html) {
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
  if (data['application/json'] !== undefined) {
    return { kind: 'json', mime: 'application/json' };
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

/**
 * A page for a frame without any rights: no script runs, nothing is fetched.
 */
export function framed(html: string): string {
  const policy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:";
  return (
    `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${policy}">` +
    '<base target="_blank"><style>body{margin:8px;font:12px sans-serif;background:#fff;color:#222}' +
    'table{border-collapse:collapse}td,th{padding:2px 8px;text-align:right}</style>' +
    html
  );
}
