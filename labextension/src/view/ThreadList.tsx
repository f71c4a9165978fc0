import {
  addIcon,
  closeIcon,
  deleteIcon,
  editIcon
} from '@jupyterlab/ui-components';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ago } from '../model/format';
import { noticeOfError, noticeOfRun } from '../model/words';
import type { IThreadRow, Run } from '../wire';
import { Notice } from './Notice';
import { IconButton, Spinner, TextButton } from './parts';
import { useNow, useServices, useSignals } from './services';

/** All threads, newest first, with a search. */
export function ThreadList(): JSX.Element {
  const { model, trans, actions } = useServices();
  const { threads } = model;
  const search = React.useRef<HTMLInputElement>(null);
  React.useEffect(() => search.current?.focus({ preventScroll: true }), []);
  useSignals(threads.changed, model.changed);
  const now = useNow(30000, true);
  const [query, setQuery] = React.useState(threads.query);
  React.useEffect(() => {
    const timer = setTimeout(() => {
      if (query !== threads.query) {
        void threads.search(query).catch(() => undefined);
      }
    }, 200);
    return () => clearTimeout(timer);
  }, [query, threads]);
  return (
    <>
      <div className="jp-CIToolbar">
        <IconButton
          icon={closeIcon}
          label={trans.__('Back to the thread')}
          onClick={() => model.show('thread')}
        />
        <h2 className="jp-CIToolbar-title">{trans.__('Threads')}</h2>
        <IconButton
          icon={addIcon}
          label={trans.__('New thread')}
          onClick={() => actions.run('code-interpreter:new-thread')}
        />
      </div>
      <input
        ref={search}
        type="search"
        className="jp-CISearch"
        aria-label={trans.__('Search threads')}
        placeholder={trans.__('Search titles and messages')}
        value={query}
        onChange={event => setQuery(event.target.value)}
      />
      <ul
        className="jp-CIThreads"
        aria-label={trans.__('Threads')}
        onKeyDown={moveFocus}
      >
        {threads.rows.map(row => (
          <Row key={row.id} row={row} now={now} />
        ))}
        {threads.loaded && threads.rows.length === 0 && !threads.error && (
          <li className="jp-CIThreads-none">
            {query
              ? trans.__('No title and no message has this.')
              : trans.__('No threads yet.')}
          </li>
        )}
        {threads.hasMore && (
          <li className="jp-CIOlder">
            <TextButton
              label={trans.__('Show more')}
              onClick={() => void threads.more()}
            />
          </li>
        )}
        {threads.error !== null && (
          <li className="jp-CIThreads-none">
            <Notice notice={noticeOfError(threads.error, trans)} />
          </li>
        )}
      </ul>
    </>
  );
}

const Row = React.memo(function Row(props: {
  row: IThreadRow;
  now: number;
}): JSX.Element {
  const { model, trans, actions } = useServices();
  const { row, now } = props;
  const { tone, words } = stateOf(row, now, trans);
  const title = row.title || trans.__('Untitled');
  return (
    <li
      className="jp-CIThreads-row"
      data-thread={row.id}
      data-current={model.thread.id === row.id}
    >
      <button
        type="button"
        className="jp-CIThreads-open"
        aria-current={model.thread.id === row.id}
        onClick={() => void model.open(row.id)}
      >
        {tone === 'running' ? (
          <Spinner />
        ) : (
          <span className="jp-CIDot" data-tone={tone} aria-hidden="true" />
        )}
        <span className="jp-CIThreads-words">
          <b title={title}>{title}</b>
          <span>{words}</span>
        </span>
      </button>
      <span className="jp-CIThreads-tools">
        <IconButton
          icon={editIcon}
          label={trans.__('Rename %1', title)}
          onClick={() =>
            actions.run('code-interpreter:rename-thread', { thread: row.id })
          }
        />
        <IconButton
          icon={deleteIcon}
          label={trans.__('Delete %1', title)}
          onClick={() =>
            actions.run('code-interpreter:delete-thread', { thread: row.id })
          }
        />
      </span>
    </li>
  );
});

/** The badge of a thread, and the line below its title. */
function stateOf(
  row: IThreadRow,
  now: number,
  trans: TranslationBundle
): { tone: string; words: string } {
  const { run } = row;
  const time = ago(
    (row.updated_at ?? run?.created_at ?? row.created_at) * 1000,
    now,
    trans
  );
  switch (run?.status) {
    case 'queued':
    case 'in_progress':
    case 'cancelling':
      return { tone: 'running', words: trans.__('running · %1', time) };
    case 'requires_action':
      return { tone: 'waiting', words: trans.__('waits for you · %1', time) };
    case 'failed':
    case 'expired':
      return { tone: 'failed', words: `${time} · ${failure(run, trans)}` };
  }
  if (row.session !== 'none' && row.session !== 'dead') {
    return { tone: 'alive', words: trans.__('%1 · session alive', time) };
  }
  return { tone: 'quiet', words: time };
}

function failure(
  run: NonNullable<IThreadRow['run']>,
  trans: TranslationBundle
): string {
  const notice = noticeOfRun(run as Partial<Run> as Run, trans);
  return notice && run.last_error
    ? notice.title.replace(/\.$/, '')
    : trans.__('failed');
}

/** Arrow keys go from thread to thread. */
function moveFocus(event: React.KeyboardEvent<HTMLElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined) {
    return;
  }
  const all = [
    ...event.currentTarget.querySelectorAll<HTMLElement>('.jp-CIThreads-open')
  ];
  const at = all.indexOf(document.activeElement as HTMLElement);
  const next = all[at + step];
  if (next) {
    event.preventDefault();
    next.focus();
  }
}
