export const jupyterHighlightStyle = { module: null };
