/**
 * Where one writes: text, files, who answers, and Send or Stop.
 */
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { clipIcon } from '../icons';
import type { IAttachment } from '../model/attachments';
import { bytes } from '../model/format';
import { Mentions, useMentions } from './Mentions';
import { IconButton, Meter } from './parts';
import { Pickers } from './Pickers';
import { useServices, useSignals } from './services';

export function Composer(props: { takesFocus?: boolean }): JSX.Element {
  const { model, trans } = useServices();
  const { thread, attachments } = model;
  useSignals(thread.changed, attachments.changed, model.changed);
  const [text, setText] = React.useState(model.draft);
  const area = React.useRef<HTMLTextAreaElement>(null);
  const picker = React.useRef<HTMLInputElement>(null);
  /** What is waited for before that which is typed is sent by itself. */
  const [queued, setQueued] = React.useState<'' | 'run' | 'files'>('');
  const change = React.useCallback(
    (next: string) => {
      model.draft = next;
      setText(next);
      setQueued('');
    },
    [model]
  );
  const mentions = useMentions(area, text, change);
  React.useEffect(() => setText(model.draft), [model, thread]);
  React.useEffect(() => {
    if (props.takesFocus) {
      area.current?.focus();
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);
  React.useEffect(() => {
    const insert = (_: unknown, added: string) => {
      const old = model.draft;
      change(old && !old.endsWith('\n') ? `${old}\n${added}` : old + added);
      area.current?.focus();
    };
    model.inserted.connect(insert);
    return () => {
      model.inserted.disconnect(insert);
    };
  }, [model, change]);
  useGrowth(area, text);

  const filled = text.trim() !== '' || attachments.files.length > 0;
  const busy = thread.busy || thread.starting;
  const ready = filled && !busy && !attachments.isSending;
  const send = async () => {
    if (!ready) {
      return;
    }
    const sent = text.trim() || trans.__('Look at the attached file.');
    change('');
    if (!(await model.send(sent))) {
      change(text);
    }
  };
  React.useEffect(() => setQueued(''), [thread]);
  React.useEffect(() => {
    if (queued && ready) {
      setQueued('');
      if (queued === 'files' || thread.lastRun?.status === 'completed') {
        void send();
      }
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [queued, ready]);
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (mentions.onKeyDown(event) || event.nativeEvent.isComposing) {
      return;
    }
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey) {
      const accel = event.ctrlKey || event.metaKey;
      if (accel || model.preferences.sendWith === 'Enter') {
        event.preventDefault();
        if (ready) {
          void send();
        } else {
          setQueued(!filled ? '' : busy ? 'run' : 'files');
        }
      }
    }
  };
  const onPaste = (event: React.ClipboardEvent) => {
    const files = [...event.clipboardData.files];
    if (files.length > 0) {
      event.preventDefault();
      files.forEach(file => void attachments.upload(file, nameOf(file)));
    }
  };
  return (
    <div className="jp-CIComposer">
      <Mentions state={mentions} />
      <div className="jp-CIComposer-box">
        <textarea
          ref={area}
          rows={2}
          value={text}
          aria-label={trans.__('Message')}
          placeholder={trans.__(
            'Ask about your data, drop files here, @ for notebooks and cells'
          )}
          onChange={event => change(event.target.value)}
          onKeyDown={onKeyDown}
          onSelect={mentions.update}
          onBlur={mentions.close}
          onPaste={onPaste}
        />
        {queued && (
          <p className="jp-CIComposer-hint" role="status">
            {queued === 'run'
              ? trans.__('Is sent when the answer is complete.')
              : trans.__('Is sent when the files are there.')}
          </p>
        )}
        {attachments.items.length > 0 && (
          <div className="jp-CIChips">
            {attachments.items.map(item => (
              <Attachment key={item.key} item={item} />
            ))}
          </div>
        )}
        <div className="jp-CIComposer-row">
          <IconButton
            icon={clipIcon}
            label={trans.__('Attach files')}
            onClick={() => picker.current?.click()}
          />
          <input
            ref={picker}
            type="file"
            multiple
            hidden
            aria-label={trans.__('Files to attach')}
            onChange={event => {
              for (const file of event.target.files ?? []) {
                void attachments.upload(file, file.name);
              }
              event.target.value = '';
            }}
          />
          <Pickers />
          <span className="jp-CISpace" />
          {thread.running ? (
            <button
              type="button"
              className="jp-CIStop"
              disabled={thread.stopping}
              title={trans.__('Stop (Escape)')}
              onClick={() => void thread.stop()}
            >
              ■ {thread.stopping ? trans.__('Stopping') : trans.__('Stop')}
            </button>
          ) : (
            <button
              type="button"
              className="jp-CISend"
              disabled={!ready}
              onClick={() => void send()}
            >
              {trans.__('Send')}
            </button>
          )}
        </div>
      </div>
    </div>
  );
}

/** A file on its way into the message, or already in it. */
function Attachment(props: { item: IAttachment }): JSX.Element {
  const { model, trans } = useServices();
  const { item } = props;
  const sending = item.state === 'sending';
  return (
    <span className="jp-CIChip" data-state={item.state} title={item.error}>
      <span className="jp-CIChip-name">{item.name}</span>
      {item.size !== null && <span>· {bytes(item.size)}</span>}
      {sending && item.part !== null && (
        <>
          <Meter
            busy
            part={item.part}
            label={trans.__('Uploading %1', item.name)}
          />
          <span>{Math.floor(item.part * 100)} %</span>
        </>
      )}
      {item.state === 'failed' && <span role="alert">· {item.error}</span>}
      <IconButton
        icon={closeIcon}
        className="jp-CIChip-remove"
        label={
          sending
            ? trans.__('Cancel the upload of %1', item.name)
            : trans.__('Remove %1', item.name)
        }
        onClick={() => model.attachments.remove(item.key)}
      />
    </span>
  );
}

/** Pasted images have no name of their own. */
function nameOf(file: File): string {
  if (file.name && file.name !== 'image.png') {
    return file.name;
  }
  const time = new Date().toTimeString().slice(0, 8).replace(/:/g, '-');
  return `pasted-${time}.${file.type.split('/')[1] ?? 'bin'}`;
}

function useGrowth(
  area: React.RefObject<HTMLTextAreaElement>,
  text: string
): void {
  React.useLayoutEffect(() => {
    const element = area.current;
    if (element) {
      element.style.height = 'auto';
      element.style.height = `${Math.min(element.scrollHeight, 240)}px`;
    }
  }, [area, text]);
}
