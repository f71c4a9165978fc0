/**
 * The session in one quiet line: how code is kept apart, what it uses, when it closes.
 */
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { shieldIcon } from '../icons';
import { bytes, bytesOf, duration } from '../model/format';
import { hasRunCode } from '../model/timeline';
import type { IIsolation, ISession, IUsage } from '../wire';
import { Meter, TextButton } from './parts';
import { useNow, useServices, useSignals } from './services';

export function SessionBar(): JSX.Element | null {
  const { model, trans } = useServices();
  useSignals(model.session.changed, model.changed);
  const { sessionOpen: open } = model;
  const toggle = React.useRef<HTMLButtonElement>(null);
  const { session } = model.session;
  const alive = model.session.isAlive ? session : null;
  const { unreachable } = model.session;
  const isolation = alive?.isolation ?? model.status?.isolation ?? null;
  if (isolation === null && alive === null) {
    return null;
  }
  const close = () => {
    model.openSession(false);
    toggle.current?.focus();
  };
  return (
    <div
      className="jp-CISession"
      onKeyDown={event => {
        if (open && event.key === 'Escape') {
          event.preventDefault(); // it is not meant for the run
          close();
        }
      }}
    >
      <div className="jp-CISession-bar">
        <button
          ref={toggle}
          type="button"
          className="jp-CISession-toggle"
          aria-expanded={open}
          title={trans.__('What keeps the code apart')}
          onClick={() => model.openSession(!open)}
        >
          <span className="jp-CIShield" data-level={levelOf(isolation)}>
            <shieldIcon.react tag="span" className="jp-CIIcon" />
          </span>
          <b>{isolationWord(isolation, trans)}</b>
        </button>
        {alive?.usage && !unreachable && <Usage usage={alive.usage} />}
        <span className="jp-CISpace" />
        <Idle session={alive} />
      </div>
      {open && (
        <Details isolation={isolation} session={alive} onClose={close} />
      )}
    </div>
  );
}

function levelOf(isolation: IIsolation | null): string {
  if (isolation === null) {
    return 'unknown';
  }
  if (isolation.sufficient === false) {
    return 'refused';
  }
  return isolation.level >= 2
    ? 'strong'
    : isolation.level === 1
      ? 'weak'
      : 'none';
}

function isolationWord(
  isolation: IIsolation | null,
  trans: TranslationBundle
): string {
  switch (levelOf(isolation)) {
    case 'strong':
      return trans.__('Sandboxed');
    case 'weak':
      return trans.__('Limits only, not isolated');
    case 'refused':
      return trans.__('Code cannot run here');
    case 'none':
      return trans.__('Not isolated');
    default:
      return trans.__('Sandbox');
  }
}

function Usage({ usage }: { usage: IUsage }): JSX.Element {
  const { trans } = useServices();
  const { memory_bytes: used, memory_limit_bytes: limit } = usage;
  const cpu = usage.cpu_percent;
  return (
    <>
      {used !== null && (
        <span className="jp-CISession-memory" title={trans.__('Memory')}>
          {limit !== null && (
            <Meter part={used / limit} label={trans.__('Memory')} />
          )}
          {limit === null ? (
            bytes(used)
          ) : (
            <>
              <span className="jp-CIWide">{bytesOf(used, limit)}</span>
              <span className="jp-CINarrow">{bytes(used)}</span>
            </>
          )}
        </span>
      )}
      {cpu !== null && cpu >= 20 && (
        <span className="jp-CISession-cpu">
          {trans.__('CPU %1 %', Math.round(cpu))}
        </span>
      )}
    </>
  );
}

function Idle({ session }: { session: ISession | null }): JSX.Element {
  const { model, trans } = useServices();
  const now = useNow(20000, session !== null);
  let text = trans.__('no session yet');
  let short = '';
  if (model.session.unreachable) {
    text = trans.__('no connection');
  } else if (session?.state === 'starting') {
    text = trans.__('starting');
  } else if (session?.state === 'busy') {
    text = trans.__('busy');
  } else if (session?.expires_at) {
    const seconds = session.expires_at - now / 1000;
    const minutes = seconds < 60 ? '<1' : Math.round(seconds / 60);
    text = trans.__('%1 min idle left', minutes);
    short = trans.__('%1 min', minutes);
  } else if (session !== null) {
    text = session.state;
  } else if (model.thread.busy) {
    text = '';
  } else if (
    model.session.gone !== '' ||
    hasRunCode(model.thread.conversation)
  ) {
    text = trans.__('session closed');
  }
  return (
    <span className="jp-CISession-idle" title={text}>
      <span className={short && 'jp-CIWide'}>{text}</span>
      {short && <span className="jp-CINarrow">{short}</span>}
    </span>
  );
}

/** Every layer in force and what it means; the figures; what can be done. */
function Details(props: {
  isolation: IIsolation | null;
  session: ISession | null;
  onClose: () => void;
}): JSX.Element {
  const { trans, actions } = useServices();
  const { isolation, session } = props;
  return (
    <div
      className="jp-CISession-details"
      role="region"
      aria-label={trans.__('Session')}
    >
      {isolation && (
        <>
          <h3>{trans.__('Isolation: level %1 of 3', isolation.level)}</h3>
          <ul>
            {isolation.layers.map(layer => (
              <li key={layer}>
                {capital(meaningOf(layer, trans) || layer)}{' '}
                <small>{layer}</small>
              </li>
            ))}
          </ul>
          {[
            ...(isolation.kind === 'remote' ? (isolation.notes ?? []) : []),
            ...(isolation.reasons ?? []),
            ...(isolation.hints ?? [])
          ].map(text => (
            <p key={text}>{text}</p>
          ))}
        </>
      )}
      {session?.usage && <Figures usage={session.usage} />}
      {session && <Lifetime session={session} />}
      <div className="jp-CINotice-deeds">
        {session !== null && (
          <>
            <TextButton
              label={trans.__('Open a console')}
              onClick={() => actions.run('code-interpreter:open-console')}
            />
            <TextButton
              label={trans.__('Restart')}
              onClick={() => actions.run('code-interpreter:restart-session')}
            />
            <TextButton
              label={trans.__('Shut down')}
              onClick={() => actions.run('code-interpreter:close-session')}
            />
          </>
        )}
        <TextButton label={trans.__('Close')} onClick={props.onClose} />
      </div>
    </div>
  );
}

/** When the session is shut down: if nothing happens, and in any case. */
function Lifetime({ session }: { session: ISession }): JSX.Element | null {
  const { model, trans } = useServices();
  const { created_at: begun, expires_at: idle } = session;
  const life = model.status?.limits.session_life_seconds;
  const latest = begun && life ? begun + life : null;
  if (!idle) {
    return null;
  }
  return (
    <p>
      {latest !== null && latest > idle
        ? trans.__(
            'Shuts down at %1 if nothing happens, at %2 at the latest. Files are kept, variables are not.',
            clock(idle),
            clock(latest)
          )
        : trans.__(
            'Shuts down at %1. Files are kept, variables are not.',
            clock(idle)
          )}
    </p>
  );
}

function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString(undefined, {
    hour: '2-digit',
    minute: '2-digit'
  });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function Figures({ usage }: { usage: IUsage }): JSX.Element {
  const { trans } = useServices();
  const lines: Array<[string, number | null, number | null, boolean]> = [
    [trans.__('Memory'), usage.memory_bytes, usage.memory_limit_bytes, true],
    [trans.__('Disk'), usage.disk_bytes, usage.disk_limit_bytes, true],
    [trans.__('Processes'), usage.processes, usage.processes_limit, false]
  ];
  return (
    <dl className="jp-CIFigures">
      {lines.map(([name, used, limit, isBytes]) =>
        used === null ? null : (
          <React.Fragment key={name}>
            <dt>{name}</dt>
            <dd>
              {limit !== null && <Meter part={used / limit} label={name} />}
              {isBytes
                ? limit === null
                  ? bytes(used)
                  : bytesOf(used, limit)
                : limit === null
                  ? used
                  : `${used} / ${limit}`}
            </dd>
          </React.Fragment>
        )
      )}
      {usage.cpu_percent !== null && (
        <>
          <dt>{trans.__('CPU')}</dt>
          <dd>{Math.round(usage.cpu_percent)} %</dd>
        </>
      )}
    </dl>
  );
}

/** What a layer of the isolation does, for those who do not know its name. */
function meaningOf(layer: string, trans: TranslationBundle): string {
  const known: Array<[RegExp, string]> = [
    [/^declared:/, trans.__('so the administrator says; it was not measured')],
    [
      /namespace/i,
      trans.__('the code reaches no network and sees no other programs')
    ],
    [/net/i, trans.__('the code reaches no network')],
    [/reaper/i, trans.__('whatever the code started ends with it')],
    [
      /landlock/i,
      trans.__('the system lets the code touch its own folder only')
    ],
    [/seccomp/i, trans.__('dangerous calls to the system are refused')],
    [/user/i, trans.__('the code is nobody on this machine')],
    [/pid/i, trans.__('the code does not see other programs')],
    [/ipc/i, trans.__('the code shares no memory with other programs')],
    [
      /mount|file|read.?only|bubblewrap/i,
      trans.__('the code sees a file system of its own, without your files')
    ],
    [/cgroup|memory/i, trans.__('memory is limited')],
    [/rlimit|limit/i, trans.__('memory, processes and file sizes are limited')],
    [/env/i, trans.__('the code sees no keys and passwords of the server')],
    [/cap|privs?/i, trans.__('the code cannot gain rights')]
  ];
  return known.find(([pattern]) => pattern.test(layer))?.[1] ?? '';
}

/** Warns while code runs close to its memory limit. */
export function NearLimit(): JSX.Element | null {
  const { model, trans } = useServices();
  useSignals(model.session.changed);
  const { session } = model.session;
  const { memory_bytes: used = null, memory_limit_bytes: limit = null } =
    session?.usage ?? {};
  if (session?.state !== 'busy' || !used || !limit || used < limit * 0.85) {
    return null;
  }
  return (
    <div className="jp-CINotice" data-tone="warning" role="note">
      <b>{trans.__('Memory is close to its limit.')}</b>{' '}
      {trans.__('At %1 the code is stopped; your files stay.', bytes(limit))}
    </div>
  );
}

/** Says that a session was closed, and what that means. */
export function Gone(): JSX.Element | null {
  const { model, trans } = useServices();
  useSignals(model.session.changed);
  const { gone } = model.session;
  // A run that failed with its session says so itself.
  if (
    gone === '' ||
    (gone === 'died' && model.thread.lastRun?.status === 'failed')
  ) {
    return null;
  }
  const limits = model.status?.limits ?? {};
  const idle = limits.session_idle_seconds;
  const life = limits.session_life_seconds;
  const titles = {
    idle: idle
      ? trans.__('The session was closed after %1 idle.', duration(idle))
      : trans.__('The session was closed because it was idle.'),
    life: life
      ? trans.__('The session was closed after %1.', duration(life))
      : trans.__('The session has come to the end of its time.'),
    closed: trans.__('The session was shut down.'),
    restarted: trans.__('The session was restarted.'),
    died: trans.__('The session ended.')
  };
  return (
    <div className="jp-CINotice" data-tone="info" role="note">
      <b>{titles[gone]}</b>{' '}
      {trans.__(
        'Files are kept and will be there when you go on; variables are gone.'
      )}
    </div>
  );
}
