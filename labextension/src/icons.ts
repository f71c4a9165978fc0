import { LabIcon } from '@jupyterlab/ui-components';

import clip from '../style/icons/clip.svg';
import consoleSvg from '../style/icons/console.svg';
import interpreter from '../style/icons/interpreter.svg';
import list from '../style/icons/list.svg';
import notebook from '../style/icons/notebook.svg';
import shield from '../style/icons/shield.svg';

const icon = (name: string, svgstr: string) =>
  new LabIcon({ name: `jupyter-ci-ext:${name}`, svgstr });

export const interpreterIcon = icon('icon', interpreter);
export const clipIcon = icon('clip', clip);
export const consoleIcon = icon('console', consoleSvg);
export const listIcon = icon('list', list);
export const notebookIcon = icon('notebook', notebook);
export const shieldIcon = icon('shield', shield);
