import * as React from 'react';

import type { ThreadModel } from '../model/thread';
import type { IFunctionCall, Run } from '../wire';
import { TextButton } from './parts';
import { useServices } from './services';

/** A function of the caller's own that the assistant asks for: its result is typed in here. */
export function FunctionCall(props: {
  call: IFunctionCall;
  answer: string;
  onAnswer: ((text: string) => void) | null;
}): JSX.Element {
  const { trans } = useServices();
  const { name, arguments: given, output } = props.call.function;
  return (
    <section
      className="jp-CIStep"
      data-state={output === null ? 'active' : 'done'}
    >
      <header className="jp-CIStep-head">
        <span className="jp-CIStep-state">
          <b>{name}</b>
          <span className="jp-CIStep-words">{trans.__('function')}</span>
        </span>
      </header>
      <pre className="jp-CICode">{given}</pre>
      {output !== null && <pre className="jp-CICode">{output}</pre>}
      {output === null && props.onAnswer && (
        <textarea
          className="jp-CIFunction-answer"
          aria-label={trans.__('Result of %1', name)}
          placeholder={trans.__('Result of %1', name)}
          value={props.answer}
          onChange={event => props.onAnswer!(event.target.value)}
        />
      )}
    </section>
  );
}

/** The functions that a run waits for, to be answered together. */
export function PendingFunctions(props: {
  run: Run;
  thread: ThreadModel;
}): JSX.Element | null {
  const { trans } = useServices();
  const [answers, setAnswers] = React.useState<Record<string, string>>({});
  const calls = props.run.required_action?.submit_tool_outputs.tool_calls ?? [];
  if (calls.length === 0) {
    return null;
  }
  return (
    <>
      {calls.map(call => (
        <FunctionCall
          key={call.id}
          call={{ ...call, function: { ...call.function, output: null } }}
          answer={answers[call.id] ?? ''}
          onAnswer={text => setAnswers({ ...answers, [call.id]: text })}
        />
      ))}
      <TextButton
        label={trans.__('Hand over the results')}
        onClick={() =>
          void props.thread.submit(
            props.run,
            calls.map(({ id }) => ({
              tool_call_id: id,
              output: answers[id] ?? ''
            }))
          )
        }
      />
    </>
  );
}
