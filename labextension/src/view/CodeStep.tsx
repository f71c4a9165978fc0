/**
 * One piece of code with what came of it: a single card.
 */
import {
  addBelowIcon,
  caretDownIcon,
  caretRightIcon,
  refreshIcon
} from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { duration } from '../model/format';
import { shownOutputs } from '../model/outputs';
import type { Part } from '../model/timeline';
import { Code } from './Code';
import { Outputs } from './Outputs';
import { CopyButton, IconButton, Spinner } from './parts';
import { useNow, useServices } from './services';

type CodePart = Extract<Part, { kind: 'code' }>;

/** Milliseconds without a new character after which code is taken to be running. */
const WRITTEN_AFTER = 900;

const LANGUAGE = 'Python';

interface IProps {
  part: CodePart;
  busy: boolean;
}

export const CodeStep = React.memo(
  function CodeStep({ part, busy }: IProps): JSX.Element {
    const { trans } = useServices();
    const [open, setOpen] = React.useState<boolean | null>(null);
    const foldable = part.followed !== '';
    const shown = open ?? !foldable;
    const { input, outputs } = part.call.code_interpreter;
    const { state, reason } = part.outcome;
    const stopped = state === 'stopped' || state === 'timeout';
    const Caret = shown ? caretDownIcon : caretRightIcon;
    return (
      <section
        className="jp-CIStep"
        role="group"
        data-state={part.outcome.state}
        data-folded={!shown}
        aria-label={trans.__('Python code')}
      >
        <header className="jp-CIStep-head">
          <State part={part} />
          <span className="jp-CISpace" />
          {shown && <Tools code={input} busy={busy} active={isActive(part)} />}
          {foldable && (
            <button
              type="button"
              className="jp-CIIconButton"
              aria-expanded={shown}
              aria-label={
                shown
                  ? trans.__('Fold the failed attempt')
                  : trans.__('Show the failed attempt')
              }
              onClick={() => setOpen(!shown)}
            >
              <Caret.react tag="span" className="jp-CIIcon" />
            </button>
          )}
        </header>
        {shown && (
          <>
            <FoldedCode code={input} whole={isActive(part)} />
            <Outputs
              outputs={shownOutputs(outputs, stopped, reason)}
              active={isActive(part)}
            />
            {reason !== '' && state !== 'stopped' && (
              <p className="jp-CIStep-reason">{reason}</p>
            )}
          </>
        )}
      </section>
    );
  },
  (a, b) =>
    a.busy === b.busy &&
    a.part.step === b.part.step &&
    a.part.call === b.part.call &&
    a.part.progress === b.part.progress &&
    a.part.followed === b.part.followed
);

function isActive(part: CodePart): boolean {
  return part.outcome.state === 'active';
}

function Tools(props: {
  code: string;
  busy: boolean;
  active: boolean;
}): JSX.Element {
  const { model, trans, actions } = useServices();
  const { code } = props;
  return (
    <span className="jp-CIStep-tools">
      <CopyButton
        label={trans.__('Copy the code')}
        done={trans.__('Copied')}
        onClick={() => actions.copy(code)}
      />
      {actions.insertCell && (
        <IconButton
          icon={addBelowIcon}
          label={trans.__('Insert into the notebook as a cell')}
          onClick={() => actions.insertCell?.(code)}
        />
      )}
      {!props.active && (
        <IconButton
          icon={refreshIcon}
          label={trans.__('Run this code again')}
          disabled={props.busy}
          onClick={() => void model.runAgain(code)}
        />
      )}
    </span>
  );
}

/** The mark, the word "Python", and how it stands with the code. */
function State({ part }: { part: CodePart }): JSX.Element {
  const { model, trans } = useServices();
  const active = isActive(part);
  const now = useNow(500, active);
  const limit = model.status?.limits.execution_seconds;
  const { mark, text, then } = active
    ? { mark: <Spinner />, text: progressText(part, now, trans), then: '' }
    : outcomeText(part, trans);
  const running = active && phaseOf(part, now) === 'running';
  return (
    <span className="jp-CIStep-state">
      {mark}
      <b>{LANGUAGE}</b>
      <span className="jp-CIStep-words" title={text}>
        {text}
      </span>
      {then && <span className="jp-CIStep-then"> · {then}</span>}
      {running && typeof limit === 'number' && (
        <span className="jp-CIStep-limit">
          {trans.__('limit %1', duration(limit))}
        </span>
      )}
    </span>
  );
}

function phaseOf(
  { progress }: CodePart,
  now: number
): 'writing' | 'waiting' | 'running' {
  if (!progress) {
    return 'writing';
  }
  return progress.phase === 'writing' && now - progress.touched > WRITTEN_AFTER
    ? 'running'
    : progress.phase;
}

function progressText(
  part: CodePart,
  now: number,
  trans: TranslationBundle
): string {
  const since = part.progress?.since ?? now;
  switch (phaseOf(part, now)) {
    case 'writing':
      return trans.__('writing');
    case 'waiting':
      return trans.__('waiting for a kernel');
    case 'running': {
      const seconds = Math.floor((now - since) / 1000);
      return seconds > 0
        ? trans.__('running · %1', duration(seconds))
        : trans.__('running');
    }
  }
}

function outcomeText(
  { outcome, followed }: CodePart,
  trans: TranslationBundle
): { mark: JSX.Element; text: string; then: string } {
  const failed = <Mark sign="✕" label={trans.__('Failed')} />;
  const time = outcome.seconds === null ? '' : duration(outcome.seconds);
  switch (outcome.state) {
    case 'done': {
      const mark = <Mark sign="✓" label={trans.__('Done')} />;
      return { mark, text: time, then: '' };
    }
    case 'failed': {
      const text = outcome.error || trans.__('failed');
      const then =
        followed === 'repaired'
          ? trans.__('repaired below')
          : followed === 'retried'
            ? trans.__('tried again below')
            : time;
      return { mark: failed, text, then };
    }
    case 'timeout':
      return {
        mark: failed,
        text: trans.__('stopped at the time limit'),
        then: ''
      };
    case 'lost':
      return { mark: failed, text: trans.__('the kernel died'), then: '' };
    default: {
      const mark = <Mark sign="■" label={trans.__('Stopped')} />;
      return { mark, text: trans.__('stopped'), then: '' };
    }
  }
}

function Mark(props: { sign: string; label: string }): JSX.Element {
  return (
    <span className="jp-CIMark" role="img" aria-label={props.label}>
      {props.sign}
    </span>
  );
}

/** Long code shows its beginning; while it is written, its end. */
function FoldedCode(props: { code: string; whole: boolean }): JSX.Element {
  const { model, trans } = useServices();
  const [open, setOpen] = React.useState(false);
  const code = props.code
    .replace(/\r\n/g, '\n')
    .replace(/^(?:[ \t]*\n)+|\s+$/g, '');
  const lines = code.split('\n');
  const limit = model.preferences.foldCodeAfter;
  const folded = !open && !props.whole && limit > 0 && lines.length > limit + 2;
  return (
    <>
      <Code code={folded ? lines.slice(0, limit).join('\n') : code} />
      {folded && (
        <button
          type="button"
          className="jp-CIMore"
          onClick={() => setOpen(true)}
        >
          {trans.__('show all %1 lines', lines.length)}
        </button>
      )}
    </>
  );
}
