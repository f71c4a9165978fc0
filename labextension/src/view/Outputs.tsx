/**
 * What a code step printed and showed.
 */
import * as React from 'react';

import { fold, overwritten, pieces } from '../model/logs';
import { consoleText } from '../model/outputs';
import { formOf } from '../render/mime';
import { fetchesRemotely } from '../render/safe';
import type { IDisplayData, Output } from '../wire';
import { FileImage } from './FileCard';
import { Frame, Rendered, Safe } from './Safe';
import { useServices } from './services';

export const Outputs = React.memo(function Outputs(props: {
  outputs: readonly Output[];
  active: boolean;
}): JSX.Element {
  return (
    <>
      {props.outputs.map((output, at) => (
        <OneOutput key={at} output={output} active={props.active} />
      ))}
    </>
  );
});

const OneOutput = React.memo(function OneOutput(props: {
  output: Output;
  active: boolean;
}): JSX.Element | null {
  const { output } = props;
  switch (output.type) {
    case 'logs':
      return output.logs === '' ? null : (
        <Logs text={output.logs} active={props.active} />
      );
    case 'image':
      return <FileImage id={output.image.file_id} />;
    case 'display_data':
      return <Display output={output} />;
    default:
      return null;
  }
});

/** Characters of a long text that are rendered at once. */
const PIECE = 20000;

/** Printed text: its end while it is being printed, then folded in the middle when it is long. */
function Logs(props: { text: string; active: boolean }): JSX.Element {
  const { model, trans } = useServices();
  const [whole, setWhole] = React.useState(false);
  const lines = model.preferences.foldOutputAfter;
  const text = overwritten(props.text).replace(/\n$/, '');
  const folded =
    whole || lines <= 0
      ? { head: text, tail: '', folded: false, hidden: 0 }
      : props.active
        ? fold(text, 0, lines)
        : fold(text, Math.ceil(lines / 2), Math.floor(lines / 2));
  return (
    <div className="jp-CILogs" data-whole={whole}>
      {pieces(folded.head, PIECE).map((piece, at) => (
        <Safe key={at} format="text" source={piece} />
      ))}
      {folded.folded && (
        <>
          <button className="jp-CIMore" onClick={() => setWhole(true)}>
            {folded.hidden > 0
              ? trans.__('show %1 more lines', folded.hidden)
              : trans.__('show all')}
          </button>
          <Safe format="text" source={folded.tail} />
        </>
      )}
    </div>
  );
}

function Display(props: { output: IDisplayData }): JSX.Element | null {
  const { rendermime, trans } = useServices();
  const [shown, setShown] = React.useState(false);
  const { data, metadata = {} } = props.output;
  const text = consoleText(props.output);
  const form = React.useMemo(
    () => formOf(data, rendermime.mimeTypes, fetchesRemotely),
    [data, rendermime]
  );
  if (text !== null) {
    return <Logs text={text} active={false} />;
  }
  if (form === null) {
    return null;
  }
  if (form.kind === 'chart' && form.asks && !shown) {
    return (
      <button className="jp-CIMore" onClick={() => setShown(true)}>
        {trans.__('This chart may load data from the internet. Show it')}
      </button>
    );
  }
  return <div className="jp-CIDisplay">{rendered(form, data, metadata)}</div>;

  function rendered(
    what: NonNullable<typeof form>,
    bundle: IDisplayData['data'],
    extra: Record<string, unknown>
  ): JSX.Element {
    switch (what.kind) {
      case 'chart':
        return (
          <Rendered
            mime={what.mime}
            value={bundle[what.mime]}
            metadata={extra}
          />
        );
      case 'json':
        return (
          <Rendered
            mime="application/json"
            value={bundle[what.mime]}
            metadata={extra}
          />
        );
      case 'missing':
        return (
          <p className="jp-CIMissing">
            {what.mime.includes('plotly')
              ? trans.__(
                  'This chart needs Plotly where JupyterLab runs: "pip install plotly" there, and load the page again.'
                )
              : trans.__('This JupyterLab has no renderer for %1.', what.mime)}
          </p>
        );
      case 'frame':
        return <Frame source={what.source} title={trans.__('Output')} />;
      case 'image':
        return <img className="jp-CIImage" src={what.url} alt="" />;
      default:
        return <Safe format={what.kind} source={what.source} />;
    }
  }
}
