/**
 * The first rows of a delimited text. Pure.
 */
export interface ITable {
  header: string[];
  rows: string[][];
  /** Number of rows below the header; null when the text is only the beginning of the file. */
  total: number | null;
}

/**
 * Reads a CSV or TSV text; quoted fields may hold delimiters, quotes and line ends (RFC 4180).
 *
 * @param complete - whether *text* is the whole file; if not, its last line is dropped
 * @param limit - rows to keep; the others are counted only
 */
export function readTable(
  text: string,
  complete: boolean,
  limit: number
): ITable {
  const delimiter = delimiterOf(text);
  const rows: string[][] = [];
  let total = 0;
  let row: string[] = [];
  let field = '';
  let quoted = false;
  const endRow = () => {
    row.push(field);
    field = '';
    if (row.length > 1 || row[0] !== '') {
      if (total <= limit) {
        rows.push(row);
      }
      total++;
    }
    row = [];
  };
  for (let at = text.charCodeAt(0) === 0xfeff ? 1 : 0; at < text.length; at++) {
    const char = text[at];
    if (quoted) {
      if (char !== '"') {
        field += char;
      } else if (text[at + 1] === '"') {
        field += '"';
        at++;
      } else {
        quoted = false;
      }
    } else if (char === '"' && field === '') {
      quoted = true;
    } else if (char === delimiter) {
      row.push(field);
      field = '';
    } else if (char === '\n') {
      endRow();
    } else if (char !== '\r') {
      field += char;
    }
  }
  if (complete && (field !== '' || row.length > 0)) {
    endRow();
  }
  const [header = [], ...body] = rows;
  return {
    header,
    rows: body,
    total: complete ? Math.max(0, total - 1) : null
  };
}

function delimiterOf(text: string): string {
  const line = text.slice(0, 4096).split('\n', 1)[0];
  let best = ',';
  let most = 0;
  for (const candidate of [',', '\t', ';', '|']) {
    const found = line.split(candidate).length - 1;
    if (found > most) {
      best = candidate;
      most = found;
    }
  }
  return best;
}
