import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

const panel: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-ci-ext:panel',
  autoStart: true,
  activate: () => undefined
};
export default [panel];
