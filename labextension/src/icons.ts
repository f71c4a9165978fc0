import { LabIcon } from '@jupyterlab/ui-components';

import clip from '../style/icons/clip.svg';
import interpreter from '../style/icons/interpreter.svg';
import shield from '../style/icons/shield.svg';

export const interpreterIcon = new LabIcon({
  name: 'jupyter-ci-ext:icon',
  svgstr: interpreter
});
export const clipIcon = new LabIcon({
  name: 'jupyter-ci-ext:clip',
  svgstr: clip
});
export const shieldIcon = new LabIcon({
  name: 'jupyter-ci-ext:shield',
  svgstr: shield
});
