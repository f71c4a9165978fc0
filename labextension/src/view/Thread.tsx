import * as React from 'react';

import { timeline } from '../model/timeline';
import type { ThreadModel } from '../model/thread';
import { noticeOfError } from '../model/words';
import { Boundary } from './Boundary';
import { Empty } from './Empty';
import { AssistantText, UserMessage, UserText } from './Message';
import { Notice } from './Notice';
import { Spinner, TextButton } from './parts';
import { RunGroup } from './RunGroup';
import { useServices, useSignals } from './services';
import { Gone, NearLimit } from './SessionBar';

const NONE: ReadonlySet<string> = new Set();

/** The conversation, newest at the bottom; stays there unless one scrolls away. */
export function Thread(props: { thread: ThreadModel }): JSX.Element {
  const { model, trans } = useServices();
  const { thread } = props;
  useSignals(thread.changed);
  const items = timeline(thread.conversation);
  const { scroller, content, away, toEnd } = useStickToEnd(thread);
  const pending = thread.pending;
  const status =
    model.statusError === null ? null : noticeOfError(model.statusError, trans);
  return (
    <div className="jp-CILog-frame">
      <div
        ref={scroller}
        className="jp-CILog"
        role="log"
        aria-live="off"
        aria-label={trans.__('Conversation')}
        aria-busy={thread.busy || thread.loading !== ''}
        tabIndex={0}
      >
        <div ref={content} className="jp-CILog-content">
          {thread.loading === 'newest' && (
            <p className="jp-CIWaiting">
              <Spinner />
              {trans.__('Loading the thread')}
            </p>
          )}
          {thread.hasOlder && (
            <p className="jp-CIOlder">
              {thread.loading === 'older' ? (
                <Spinner />
              ) : (
                <TextButton
                  label={trans.__('Show earlier messages')}
                  onClick={() => void keepPlace(scroller.current, thread)}
                />
              )}
            </p>
          )}
          {status && <Notice notice={status} />}
          {thread.isEmpty && !thread.loading && thread.error === null && (
            <Empty />
          )}
          {items.map((item, at) => (
            <div key={item.key} className="jp-CIItem">
              <Boundary instead={trans.__('This could not be shown.')}>
                {item.kind === 'run' ? (
                  <RunGroup
                    item={item}
                    thread={thread}
                    isLast={at === items.length - 1}
                  />
                ) : item.message.role === 'assistant' ? (
                  <AssistantText message={item.message} shown={NONE} />
                ) : (
                  <UserMessage message={item.message} />
                )}
              </Boundary>
            </div>
          ))}
          {pending && (
            <div className="jp-CIUser" data-pending="true">
              {pending.files.length > 0 && (
                <div className="jp-CIChips">
                  {pending.files.map(file => (
                    <span key={file.id} className="jp-CIChip">
                      {file.filename}
                    </span>
                  ))}
                </div>
              )}
              <UserText text={pending.text} />
            </div>
          )}
          {(pending || thread.starting) && (
            <p className="jp-CIWaiting">
              <Spinner />
              {trans.__('Sending')}
            </p>
          )}
          {thread.error !== null && (
            <Notice
              notice={noticeOfError(thread.error, trans)}
              onDismiss={() => thread.dismissError()}
            />
          )}
          <NearLimit />
          <Gone />
        </div>
      </div>
      {away && (
        <button type="button" className="jp-CIToEnd" onClick={toEnd}>
          {trans.__('To the end')} ↓
        </button>
      )}
    </div>
  );
}

/** Shows earlier messages above, without moving what is being read. */
async function keepPlace(
  scroller: HTMLElement | null,
  thread: ThreadModel
): Promise<void> {
  const below = scroller ? scroller.scrollHeight - scroller.scrollTop : 0;
  await thread.loadOlder();
  requestAnimationFrame(() => {
    if (scroller) {
      scroller.scrollTop = scroller.scrollHeight - below;
    }
  });
}

/** What a reader does to scroll; nobody tells when the scroll bar is let go, but the next move. */
const MOVES = ['wheel', 'touchmove', 'pointerdown', 'pointermove', 'keydown'];

/** Milliseconds for which a scroll follows from what the reader did: it may be smooth. */
const HAND = 500;

function useStickToEnd(thread: ThreadModel) {
  const scroller = React.useRef<HTMLDivElement>(null);
  const content = React.useRef<HTMLDivElement>(null);
  const sticky = React.useRef(true);
  const [away, setAway] = React.useState(false);
  const toEnd = React.useCallback(() => {
    sticky.current = true;
    scroller.current?.scrollTo({ top: scroller.current.scrollHeight });
    setAway(false);
  }, []);
  React.useEffect(() => {
    const element = scroller.current;
    if (!element || !content.current) {
      return;
    }
    let top = 0;
    let moved = -Infinity;
    let held = false;
    const onMove = (event: Event) => {
      if (event.type === 'pointermove') {
        held &&= (event as PointerEvent).buttons !== 0;
      } else {
        held = event.type === 'pointerdown';
        moved = performance.now();
      }
    };
    const isByHand = () => held || performance.now() - moved < HAND;
    const onScroll = () => {
      const { scrollHeight, scrollTop, clientHeight } = element;
      // Content that grows moves the end away, content that shrinks moves what is shown: only an
      // upward scroll that follows from what the reader does lets go of the end.
      if (scrollHeight - scrollTop - clientHeight < 40) {
        sticky.current = true;
      } else if (scrollTop < top - 1 && isByHand()) {
        sticky.current = false;
      }
      setAway(!sticky.current);
      top = scrollTop;
    };
    const grown = new ResizeObserver(() => {
      if (sticky.current) {
        element.scrollTop = element.scrollHeight;
      }
      top = element.scrollTop;
    });
    MOVES.forEach(name =>
      element.addEventListener(name, onMove, { passive: true })
    );
    grown.observe(content.current);
    grown.observe(element);
    element.addEventListener('scroll', onScroll, { passive: true });
    return () => {
      grown.disconnect();
      element.removeEventListener('scroll', onScroll);
      MOVES.forEach(name => element.removeEventListener(name, onMove));
    };
  }, []);
  React.useEffect(toEnd, [thread, toEnd]);
  const sending = thread.pending !== null;
  React.useEffect(() => {
    if (sending) {
      toEnd();
    }
  }, [sending, toEnd]);
  return { scroller, content, away, toEnd };
}
