import * as React from 'react';

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

/** Tells in words, to those who do not see it, when a run begins and ends. */
function Announcer(): JSX.Element {
  const services = React.useContext(ServicesContext)!;
  const { model, trans } = services;
  useSignals(model.thread.changed);
  const order = model.thread.conversation.runOrder;
  const run = model.thread.conversation.runs[order[order.length - 1]];
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
  return (
    <div className="jp-CIHidden" role="status">
      {run ? words[run.status] : ''}
    </div>
  );
}
