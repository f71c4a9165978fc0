/**
 * A file that the code made: its name and size, a preview, and where it can go.
 */
import {
  caretDownIcon,
  caretRightIcon,
  downloadIcon,
  launchIcon,
  saveIcon
} from '@jupyterlab/ui-components';
import * as React from 'react';

import { baseName, extensionOf, kindOf, pagesIn } from '../model/files';
import { bytes } from '../model/format';
import { readTable } from '../model/table';
import type { FileObject } from '../wire';
import { IconButton } from './parts';
import { usePromise, useServices } from './services';

/** Bytes of a text that a preview reads; of a smaller table all rows are counted. */
const PREVIEW_BYTES = 256 * 1024;

/** Bytes of a PDF in which its pages are counted. */
const PDF_BYTES = 4 * 1024 * 1024;

export const FileCard = React.memo(function FileCard(props: {
  id: string;
  /** Whether a picture is shown without a click. */
  showsImage?: boolean;
}): JSX.Element | null {
  const { model, trans, actions } = useServices();
  const file = usePromise(() => model.files.get(props.id), props.id);
  const [toggled, setOpen] = React.useState<boolean | null>(null);
  if (file === undefined) {
    return <div className="jp-CIFileCard" aria-busy="true" />;
  }
  if (file === null) {
    return (
      <div className="jp-CIFileCard" data-gone="true">
        {trans.__('This file is no longer on the server.')}
      </div>
    );
  }
  const name = baseName(file.filename);
  const kind = kindOf(name);
  const previewable = kind !== 'other' && kind !== 'pdf';
  const open = toggled ?? (kind === 'image' && props.showsImage === true);
  const tip = open ? trans.__('Fold the preview') : trans.__('Show a preview');
  return (
    <div className="jp-CIFileCard">
      <div className="jp-CIFileCard-row">
        <button
          type="button"
          className="jp-CIFileCard-name"
          aria-expanded={previewable ? open : undefined}
          title={previewable ? tip : trans.__('Open %1 in JupyterLab', name)}
          onClick={() =>
            previewable ? setOpen(!open) : void actions.openFile(props.id)
          }
        >
          <span className="jp-CIFileCard-type">
            {extensionOf(name).slice(0, 4) || '…'}
          </span>
          <span className="jp-CIFileCard-words">
            <b title={name}>{name}</b>
            <span>
              <FileFacts file={file} />
              {previewable && (open ? <Caret down /> : <Caret />)}
            </span>
          </span>
        </button>
        <FileButtons id={props.id} name={name} />
      </div>
      {open && <Preview file={file} />}
    </div>
  );
});

function Caret(props: { down?: boolean }): JSX.Element {
  const Icon = props.down ? caretDownIcon : caretRightIcon;
  return <Icon.react tag="span" className="jp-CICaret" />;
}

/** "24 rows · 2 columns · 312 B" */
function FileFacts(props: { file: FileObject }): JSX.Element {
  const { model, trans } = useServices();
  const { id, filename, bytes: size } = props.file;
  const kind = kindOf(filename);
  const most =
    kind === 'table' ? PREVIEW_BYTES : kind === 'pdf' ? PDF_BYTES : 0;
  const counted = size <= most;
  const text = usePromise(
    () => (counted ? model.files.text(id, most) : Promise.resolve('')),
    id
  );
  const facts: string[] = [];
  const pages = kind === 'pdf' && text ? pagesIn(text) : 0;
  if (pages > 0) {
    facts.push(trans._n('%1 page', '%1 pages', pages));
  }
  if (kind === 'table' && counted && text) {
    const { header, total } = readTable(text, true, 0);
    facts.push(
      trans._n('%1 row', '%1 rows', total ?? 0),
      trans._n('%1 column', '%1 columns', header.length)
    );
  }
  facts.push(bytes(size ?? 0));
  return <>{facts.join(' · ')}</>;
}

/** Download, save to the workspace, open. */
export function FileButtons(props: { id: string; name: string }): JSX.Element {
  const { model, trans, actions } = useServices();
  const { id, name } = props;
  return (
    <span className="jp-CIFileButtons">
      <IconButton
        icon={launchIcon}
        label={trans.__('Open %1 in JupyterLab', name)}
        onClick={() => void actions.openFile(id)}
      />
      <IconButton
        icon={saveIcon}
        label={trans.__('Save %1 to the workspace', name)}
        onClick={() => void actions.saveFile(id)}
      />
      <IconButton
        icon={downloadIcon}
        label={trans.__('Download %1', name)}
        onClick={() => void model.files.download(id)}
      />
    </span>
  );
}

function Preview(props: { file: FileObject }): JSX.Element {
  const { model, trans } = useServices();
  const { id, filename, bytes: size } = props.file;
  const kind = kindOf(filename);
  const text = usePromise(
    () =>
      kind === 'image'
        ? Promise.resolve('')
        : model.files.text(id, PREVIEW_BYTES),
    id
  );
  if (kind === 'image') {
    return <FileImage id={id} bare />;
  }
  if (text === undefined) {
    return <div className="jp-CIPreview" aria-busy="true" />;
  }
  if (text === null) {
    return (
      <div className="jp-CIPreview">{trans.__('There is no preview.')}</div>
    );
  }
  if (kind === 'table') {
    return <TablePreview text={text} complete={size <= PREVIEW_BYTES} />;
  }
  return (
    <pre className="jp-CIPreview jp-CIPreview-text" tabIndex={0}>
      {text.slice(0, 4000)}
      {text.length > 4000 ? '\n…' : ''}
    </pre>
  );
}

function TablePreview(props: { text: string; complete: boolean }): JSX.Element {
  const { header, rows } = React.useMemo(
    () => readTable(props.text, props.complete, 8),
    [props.text, props.complete]
  );
  return (
    <div className="jp-CIPreview jp-CIPreview-table" tabIndex={0}>
      <table>
        <thead>
          <tr>
            {header.slice(0, 30).map((cell, at) => (
              <th
                key={at}
                scope="col"
                data-number={isNumber(rows[0]?.[at] ?? '')}
              >
                {cell}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, 8).map((row, at) => (
            <tr key={at}>
              {row.slice(0, 30).map((cell, column) => (
                <td key={column} data-number={isNumber(cell)}>
                  {cell}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function isNumber(cell: string): boolean {
  return cell.trim() !== '' && Number.isFinite(Number(cell));
}

/** An image that is a file on the server. */
export const FileImage = React.memo(function FileImage(props: {
  id: string;
  bare?: boolean;
}): JSX.Element {
  const { model, trans } = useServices();
  const url = usePromise(() => model.files.imageUrl(props.id), props.id);
  const file = usePromise(() => model.files.get(props.id), props.id);
  if (url === null) {
    return (
      <div className="jp-CIFigure">
        {trans.__('This image is no longer on the server.')}
      </div>
    );
  }
  const name = baseName(file?.filename ?? trans.__('image'));
  return (
    <figure className="jp-CIFigure" aria-busy={url === undefined}>
      {url && <img className="jp-CIImage" src={url} alt={name} />}
      {url && !props.bare && <FileButtons id={props.id} name={name} />}
    </figure>
  );
});
