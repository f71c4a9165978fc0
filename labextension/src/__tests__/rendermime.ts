export * from '@jupyterlab/rendermime/lib/latex';
export * from '@jupyterlab/rendermime/lib/renderers';
