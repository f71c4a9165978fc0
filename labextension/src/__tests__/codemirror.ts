import { classHighlighter } from '@lezer/highlight';

export const jupyterHighlightStyle = { module: null, ...classHighlighter };
