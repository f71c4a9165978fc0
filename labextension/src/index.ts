import { palettePlugin } from './plugins/palette';
import { panelPlugin } from './plugins/panel';
import { runningPlugin } from './plugins/running';

export { ICodeInterpreter } from './tokens';

export default [panelPlugin, palettePlugin, runningPlugin];
