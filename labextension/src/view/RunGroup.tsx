import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { isOver } from '../model/conversation';
import { count, duration } from '../model/format';
import type { ThreadModel } from '../model/thread';
import {
  codeRuns,
  shownImages,
  textOf,
  variablesKept
} from '../model/timeline';
import type { Item } from '../model/timeline';
import { noticeOfRun } from '../model/words';
import type { Run } from '../wire';
import { CodeStep } from './CodeStep';
import { FileCard } from './FileCard';
import { FunctionCall, PendingFunctions } from './FunctionCall';
import { AssistantText, filesOf } from './Message';
import { Notice } from './Notice';
import { CopyButton, Spinner } from './parts';
import { useServices } from './services';

type RunItem = Extract<Item, { kind: 'run' }>;

/** A run: texts and code in the order in which they came, its files, how it ended. */
export function RunGroup(props: {
  item: RunItem;
  thread: ThreadModel;
  isLast: boolean;
}): JSX.Element {
  const { trans, actions } = useServices();
  const { item, thread, isLast } = props;
  const { run, parts } = item;
  const shown = shownImages(parts);
  const files = filesOf(
    parts.flatMap(part => (part.kind === 'text' ? [part.message] : []))
  ).filter(id => !shown.has(id));
  const answer = textOf(parts);
  const notice = run && noticeOfRun(run, trans, variablesKept(parts));
  return (
    <div className="jp-CIRun" data-status={run?.status}>
      {parts.map(part => {
        switch (part.kind) {
          case 'text':
            return (
              <AssistantText
                key={part.key}
                message={part.message}
                shown={shown}
              />
            );
          case 'code':
            return <CodeStep key={part.key} part={part} busy={thread.busy} />;
          case 'function':
            return part.call.function.output === null ? null : (
              <FunctionCall
                key={part.key}
                call={part.call}
                answer=""
                onAnswer={null}
              />
            );
        }
      })}
      {files.map(id => (
        <FileCard key={id} id={id} showsImage={shown.size === 0} />
      ))}
      {run?.status === 'requires_action' && (
        <PendingFunctions run={run} thread={thread} />
      )}
      {run && !isOver(run) && <Waiting item={item} thread={thread} />}
      {notice && <Notice notice={isLast ? notice : { ...notice, deeds: [] }} />}
      {run?.status === 'completed' && (
        <p className="jp-CISummary">
          <span>{summary(item, run, trans)}</span>
          {answer !== '' && (
            <CopyButton
              label={trans.__('Copy the answer')}
              done={trans.__('Copied')}
              onClick={() => actions.copy(answer)}
            />
          )}
        </p>
      )}
    </div>
  );
}

/** What is going on while nothing is being written or run. */
function Waiting(props: {
  item: RunItem;
  thread: ThreadModel;
}): JSX.Element | null {
  const { trans } = useServices();
  const { item, thread } = props;
  const last = item.parts[item.parts.length - 1];
  let text = '';
  if (thread.connection === 'lost') {
    text = trans.__(
      'Connection lost. Connecting again; the run goes on without it'
    );
  } else if (thread.stopping) {
    text = trans.__('Stopping');
  } else if (item.run?.status === 'queued') {
    text = trans.__('Waiting to start');
  } else if (item.run?.status === 'in_progress') {
    const streaming =
      (last?.kind === 'code' && last.outcome.state === 'active') ||
      (last?.kind === 'text' && last.message.status === 'in_progress');
    text = streaming ? '' : trans.__('Thinking');
  }
  return text === '' ? null : (
    <p className="jp-CIWaiting">
      <Spinner />
      {text}
    </p>
  );
}

/** "gpt-oss-20b · 2 code runs · 3 214 tokens · 8.1 s" */
function summary(item: RunItem, run: Run, trans: TranslationBundle): string {
  const words = [run.model];
  const codes = codeRuns(item);
  if (codes > 0) {
    words.push(trans._n('%1 code run', '%1 code runs', codes));
  }
  if (run.usage && run.usage.total_tokens > 0) {
    words.push(trans.__('%1 tokens', count(run.usage.total_tokens)));
  }
  if (run.completed_at && run.completed_at > run.created_at) {
    words.push(duration(run.completed_at - run.created_at));
  }
  return words.join(' · ');
}
