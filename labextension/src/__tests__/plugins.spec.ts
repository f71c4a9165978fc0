import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = join(__dirname, '..', 'plugins');

/** What JupyterLab and every page of Jupyter Notebook provide, and what the panel itself does. */
const EVERYWHERE = ['IRenderMimeRegistry', 'ICodeInterpreter'];

it('requires nothing that pages of Jupyter Notebook are without', () => {
  const required = readdirSync(FOLDER).map(name => {
    const source = readFileSync(join(FOLDER, name), 'utf-8');
    const [, list] = /\brequires: \[([^\]]*)\]/.exec(source)!;
    return list.split(',').map(token => token.trim());
  });
  expect(required.length).toBeGreaterThan(2);
  for (const token of required.flat()) {
    expect(EVERYWHERE).toContain(token);
  }
});
