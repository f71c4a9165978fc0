// npm's openai: what programs for Node do, one scenario per line of stdin.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import path from 'node:path';

const require = createRequire(path.join(process.env.CLIENT_HOME, 'package.json'));
const OpenAI = require('openai');
const { toFile } = OpenAI;
const { AssistantStream } = require('openai/lib/AssistantStream');

const client = new OpenAI({
  baseURL: `${process.env.SERVER}/openai/v1`,
  apiKey: process.env.TOKEN,
  maxRetries: 0,
});
const { assistants, threads } = client.beta;
const CODE = { type: 'code_interpreter' };

const made = (tools) => assistants.create({ model: 'scripted', tools });
const asked = (content, more = {}) =>
  threads.create({ messages: [{ role: 'user', content, ...more }] });

async function all(pages) {
  const found = [];
  for await (const each of pages) found.push(each);
  return found;
}

async function refused(call) {
  try {
    await call();
  } catch (error) {
    return { type: error.constructor.name, status: error.status, message: error.error?.message };
  }
  throw new Error('the call was not refused');
}

// Every event of an AssistantStream that a program may listen to.
function record(stream) {
  const heard = [];
  for (const name of ['messageCreated', 'messageDone', 'runStepDone', 'textCreated', 'end', 'abort'])
    stream.on(name, () => heard.push([name]));
  stream.on('event', (event) => heard.push(['event', event.event]));
  stream.on('textDelta', (delta) => heard.push(['text', delta.value ?? '']));
  stream.on('textDone', (content) => heard.push(['textDone', content.value]));
  stream.on('imageFileDone', (image) => heard.push(['image', image.file_id]));
  stream.on('toolCallCreated', (call) => heard.push(['toolCallCreated', call.type]));
  stream.on('toolCallDelta', (delta) => heard.push(['input', delta.code_interpreter?.input ?? '']));
  stream.on('toolCallDone', (call) => heard.push(['toolCallDone', call]));
  stream.on('error', (error) => heard.push(['error', String(error)]));
  return heard;
}

const scenarios = {
  async mainJob({ text, csv, name }) {
    const upload = await client.files.create({
      file: await toFile(Buffer.from(csv), name),
      purpose: 'assistants',
    });
    const processed = await client.files.waitForProcessing(upload.id, { pollInterval: 100 });
    const assistant = await made([CODE]);
    const thread = await asked(text, { attachments: [{ file_id: upload.id, tools: [CODE] }] });
    const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id });
    const heard = record(stream);
    const run = await stream.finalRun();
    const final = await stream.finalMessages();
    const steps = await stream.finalRunSteps();
    const messages = await all(threads.messages.list(thread.id, { order: 'asc' }));
    const answer = messages.at(-1);
    const link = answer.content.at(-1).text.annotations[0];
    const response = await client.files.content(link.file_path.file_id);
    return {
      upload: processed, heard, run, final, steps, messages, link,
      stored: await all(threads.runs.steps.list(run.id, { thread_id: thread.id, order: 'asc' })),
      saved: await response.text(),
      type: response.headers.get('content-type'),
      disposition: response.headers.get('content-disposition'),
    };
  },

  async polled({ text }) {
    const assistant = await made([CODE]);
    const run = await threads.createAndRunPoll({
      assistant_id: assistant.id,
      thread: { messages: [{ role: 'user', content: text }] },
    });
    const messages = await all(threads.messages.list(run.thread_id));
    return { run, answer: messages[0].content[0].text.value };
  },

  async functions({ text }) {
    const weather = { type: 'function', function: { name: 'weather' } };
    const people = { type: 'function', function: { name: 'people' } };
    const assistant = await made([weather, people]);
    const thread = await asked(text);
    const first = threads.runs.stream(thread.id, { assistant_id: assistant.id });
    const before = record(first);
    const waiting = await first.finalRun();
    const calls = waiting.required_action.submit_tool_outputs.tool_calls;
    const second = threads.runs.submitToolOutputsStream(waiting.id, {
      thread_id: thread.id,
      tool_outputs: calls.map((call) => ({ tool_call_id: call.id, output: call.function.name })),
    });
    const after = record(second);
    const run = await second.finalRun();
    const twice = await refused(() =>
      threads.runs.submitToolOutputs(run.id, { thread_id: thread.id, tool_outputs: [] }),
    );
    return { waiting, run, before, after, twice };
  },

  // The stream relayed to a browser, as the quickstart does.
  async relayed({ text }) {
    const assistant = await made([]);
    const thread = await asked(text);
    const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id });
    const browser = AssistantStream.fromReadableStream(stream.toReadableStream());
    const heard = record(browser);
    const run = await browser.finalRun();
    return { heard, run };
  },

  async failing({ text }) {
    const assistant = await made([]);
    const thread = await asked(text);
    const stream = threads.runs.stream(thread.id, { assistant_id: assistant.id });
    const heard = record(stream);
    return { heard, run: await stream.finalRun() };
  },

  async paging({ thread_id, run_id }) {
    const messages = threads.messages.list(thread_id, { limit: 10, order: 'asc' });
    const steps = threads.runs.steps.list(run_id, { thread_id, limit: 10, order: 'asc' });
    return {
      messages: (await all(messages)).map((each) => each.id),
      steps: (await all(steps)).map((each) => each.id),
    };
  },

  async refusals() {
    const other = new OpenAI({
      baseURL: client.baseURL, apiKey: 'wrong-key-0123456789', maxRetries: 0,
    });
    return {
      thread: await refused(() => threads.retrieve('thread_' + '0'.repeat(24))),
      key: await refused(() => other.models.list()),
      model: await refused(() => assistants.create({ model: 'no-such-model' })),
    };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { scenario, arguments: given } = JSON.parse(line);
  let answer;
  try {
    answer = { result: await scenarios[scenario](given) };
  } catch (error) {
    answer = { error: String(error?.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
