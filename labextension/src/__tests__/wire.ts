/** Objects of the API for the tests, made as the server makes them. */
import type { Message, Output, Run, Step } from '../wire';

export function userMessage(id: string, text: string, at = 1): Message {
  return {
    id,
    object: 'thread.message',
    created_at: at,
    thread_id: 'thread_1',
    run_id: null,
    assistant_id: null,
    role: 'user',
    status: 'completed',
    content: [{ type: 'text', text: { value: text, annotations: [] } }],
    attachments: [],
    metadata: {},
    completed_at: null,
    incomplete_at: null,
    incomplete_details: null
  };
}

export function reply(id: string, run: string, text = '', at = 1): Message {
  return {
    ...userMessage(id, text, at),
    run_id: run,
    assistant_id: 'asst_1',
    role: 'assistant',
    status: text ? 'completed' : 'in_progress',
    content: text
      ? [{ type: 'text', text: { value: text, annotations: [] } }]
      : []
  };
}

export function run(id: string, change: Partial<Run> = {}): Run {
  return {
    id,
    object: 'thread.run',
    created_at: 1,
    thread_id: 'thread_1',
    assistant_id: 'asst_1',
    status: 'queued',
    model: 'demo',
    required_action: null,
    last_error: null,
    usage: null,
    ...change
  } as Run;
}

export function messageStep(id: string, runId: string, message: string): Step {
  return {
    ...codeStep(id, runId, null),
    type: 'message_creation',
    step_details: {
      type: 'message_creation',
      message_creation: { message_id: message }
    }
  };
}

export function codeStep(
  id: string,
  runId: string,
  code: string | null,
  outputs: Output[] = [],
  change: Partial<Step> = {}
): Step {
  return {
    id,
    object: 'thread.run.step',
    created_at: 1,
    run_id: runId,
    thread_id: 'thread_1',
    assistant_id: 'asst_1',
    type: 'tool_calls',
    status: code === null ? 'in_progress' : 'completed',
    cancelled_at: null,
    completed_at: code === null ? null : 3,
    expired_at: null,
    failed_at: null,
    last_error: null,
    usage: null,
    step_details: {
      type: 'tool_calls',
      tool_calls:
        code === null
          ? []
          : [
              {
                id: `call_${id}`,
                type: 'code_interpreter',
                code_interpreter: { input: code, outputs }
              }
            ]
    },
    ...change
  } as Step;
}

export const TRACEBACK = `\u001b[31m---------------------------------------------------------------------------\u001b[39m
\u001b[31mKeyError\u001b[39m                                  Traceback (most recent call last)
\u001b[36mCell\u001b[39m\u001b[36m \u001b[39m\u001b[32mIn[1]\u001b[39m\u001b[32m, line 1\u001b[39m
\u001b[32m----> \u001b[39m\u001b[32m1\u001b[39m df["Closing Date"]

\u001b[31mKeyError\u001b[39m: 'Closing Date'`;
