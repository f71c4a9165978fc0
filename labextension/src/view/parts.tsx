/** Small pieces that several parts of the panel are made of. */
import { checkIcon, copyIcon } from '@jupyterlab/ui-components';
import type { LabIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

/** A button that is an icon; its label is read out and shown as a tip. */
export function IconButton(props: {
  icon: LabIcon;
  label: string;
  onClick: (event: React.MouseEvent) => void;
  disabled?: boolean;
  pressed?: boolean;
  className?: string;
}): JSX.Element {
  const { icon: Icon } = props;
  return (
    <button
      type="button"
      className={`jp-CIIconButton ${props.className ?? ''}`}
      title={props.label}
      aria-label={props.label}
      aria-pressed={props.pressed}
      disabled={props.disabled}
      onClick={props.onClick}
    >
      <Icon.react tag="span" className="jp-CIIcon" />
    </button>
  );
}

/** Copies something, and shows for a moment that it did. */
export function CopyButton(props: {
  label: string;
  done: string;
  onClick: () => void;
}): JSX.Element {
  const [copied, setCopied] = React.useState(false);
  React.useEffect(() => {
    const timer = copied ? setTimeout(() => setCopied(false), 1500) : 0;
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <IconButton
      icon={copied ? checkIcon : copyIcon}
      label={copied ? props.done : props.label}
      onClick={() => {
        props.onClick();
        setCopied(true);
      }}
    />
  );
}

export function TextButton(props: {
  label: string;
  onClick: () => void;
  danger?: boolean;
}): JSX.Element {
  return (
    <button
      type="button"
      className={`jp-CITextButton ${props.danger ? 'jp-mod-danger' : ''}`}
      onClick={props.onClick}
    >
      {props.label}
    </button>
  );
}

/** A turning ring: something is going on. */
export function Spinner(): JSX.Element {
  return <span className="jp-CISpinner" aria-hidden="true" />;
}

/** How much of a limit is used; turns to a warning colour near its end. */
export function Meter(props: {
  part: number;
  label: string;
  busy?: boolean;
}): JSX.Element {
  const part = Math.max(0, Math.min(1, props.part));
  const tone = props.busy ? 'busy' : part > 0.75 ? 'high' : 'calm';
  return (
    <span
      className="jp-CIMeter"
      data-tone={tone}
      role={props.busy ? 'progressbar' : 'meter'}
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(part * 100)}
    >
      <span style={{ width: `${part * 100}%` }} />
    </span>
  );
}
