/**
 * Which of a code step's outputs are shown. Pure.
 */
import type { IDisplayData, Output } from '../wire';
import { failureIn } from './logs';

/** A traceback in colour: ename, evalue, traceback. */
export const ERROR_MIME = 'application/vnd.jupyter.error';

/** Printed text with its colours. */
const STDOUT_MIME = 'application/vnd.jupyter.stdout';

/** The line of dashes that IPython begins a traceback with: too wide for a sidebar. */
// eslint-disable-next-line no-control-regex
const RULE = /^(?:\u001b\[[0-9;]*m)*-{20,}(?:\u001b\[[0-9;]*m)*\n/;

interface IErrorBundle {
  ename?: string;
  evalue?: string;
  traceback?: string | string[];
}

/**
 * The outputs in the order of their making, each in its richest form: rich forms come last and say
 * with `metadata.replaces` whose place they take.
 *
 * @param stopped - whether the code was stopped; the interrupt's traceback is no news then
 * @param reason - what is said of it elsewhere, and need not be said in the outputs again
 */
export function shownOutputs(
  outputs: readonly Output[],
  stopped: boolean,
  reason = ''
): Output[] {
  const shown: Array<Output | null> = [...outputs];
  outputs.forEach((output, at) => {
    if (output.type !== 'display_data') {
      return;
    }
    const place = output.metadata?.replaces;
    if (typeof place === 'number' && place >= 0 && place < at) {
      shown[place] = output;
      shown[at] = null;
    }
  });
  return shown.filter(
    (output): output is Output =>
      output !== null &&
      !(stopped && nameOf(output) === 'KeyboardInterrupt') &&
      !(output.type === 'logs' && output.logs.trim() === `[${reason}]`)
  );
}

/** The exception that a step's outputs end in: "KeyError: 'x'"; empty where there is none. */
export function errorIn(outputs: readonly Output[]): string {
  for (const output of outputs) {
    const error = bundleOf(output);
    if (error?.ename) {
      const value = (error.evalue ?? '').split('\n', 1)[0];
      return value ? `${error.ename}: ${value}` : error.ename;
    }
  }
  return failureIn(
    outputs
      .map(output => (output.type === 'logs' ? output.logs : ''))
      .join('\n')
  );
}

/** The text of a traceback or of a print, with its colours; null for other outputs. */
export function consoleText(output: IDisplayData): string | null {
  const printed = output.data[STDOUT_MIME];
  if (typeof printed === 'string') {
    return printed;
  }
  const error = bundleOf(output);
  if (!error) {
    return null;
  }
  const text = error.traceback ?? `${error.ename}: ${error.evalue}`;
  return (Array.isArray(text) ? text.join('\n') : text).replace(RULE, '');
}

function nameOf(output: Output): string | undefined {
  const error = bundleOf(output);
  return error
    ? error.ename
    : output.type === 'logs'
      ? /^KeyboardInterrupt\b/m.exec(output.logs)?.[0]
      : undefined;
}

function bundleOf(output: Output): IErrorBundle | null {
  return output.type === 'display_data'
    ? ((output.data[ERROR_MIME] as IErrorBundle | undefined) ?? null)
    : null;
}
