import * as React from 'react';

import { answerOf, isOver } from '../model/conversation';
import { Composer } from './Composer';
import { ServicesContext, useSignals } from './services';
import type { IServices } from './services';
import { SessionBar } from './SessionBar';
import { Thread } from './Thread';
import { ThreadList } from './ThreadList';
import { Toolbar } from './Toolbar';

/** The whole panel. */
export function Panel(props: { services: IServices }): JSX.Element {
  const { model, trans } = props.services;
  useSignals(model.changed);
  const { thread, view } = model;
  const before = React.useRef(view);
  const isBack = view === 'thread' && before.current === 'threads';
  React.useEffect(() => {
    before.current = view;
  }, [view]);
  return (
    <ServicesContext.Provider value={props.services}>
      {view === 'threads' ? (
        <ThreadList />
      ) : (
        <>
          <Toolbar />
          <SessionBar />
          <Thread key={thread.key} thread={thread} />
          <Composer takesFocus={isBack} />
          <Announcer />
        </>
      )}
      <div className="jp-CIDropHint" aria-hidden="true">
        {trans.__('Drop to attach')}
      </div>
    </ServicesContext.Provider>
  );
}

/** Characters of an answer that are read out. */
const READ_OUT = 600;

/**
 * Tells in words, to those who do not see it, when a run begins and ends, and what was answered:
 * once, when it is there, as the conversation itself changes with every piece.
 */
function Announcer(): JSX.Element {
  const services = React.useContext(ServicesContext)!;
  const { model, trans } = services;
  const { conversation } = model.thread;
  useSignals(model.thread.changed);
  const followed = React.useRef('');
  const { runOrder, runs } = conversation;
  const run = runs[runOrder[runOrder.length - 1]];
  if (run && !isOver(run)) {
    followed.current = run.id;
  }
  const words: Record<string, string> = {
    queued: trans.__('The assistant was asked.'),
    in_progress: trans.__('The assistant is working.'),
    requires_action: trans.__('The assistant waits for you.'),
    cancelling: trans.__('Stopping.'),
    cancelled: trans.__('Stopped.'),
    failed: trans.__('The run failed.'),
    expired: trans.__('The run took longer than it may.'),
    incomplete: trans.__('The answer is not complete.'),
    completed: trans.__('The answer is there.')
  };
  const answer =
    run?.status === 'completed'
      ? answerOf(conversation, run.id).slice(0, READ_OUT)
      : '';
  return (
    <div className="jp-CIHidden" role="status">
      {/* What was answered before one came is no news. */}
      {run && run.id === followed.current
        ? `${words[run.status]} ${answer}`.trim()
        : ''}
    </div>
  );
}
