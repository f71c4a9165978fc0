/**
 * The server's HTTP interface as plain functions; each takes the settings of the connection first.
 */
import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type {
  Assistant,
  FileObject,
  IModelInfo,
  IPage,
  ISavedFile,
  ISession,
  IStatus,
  IThreadRow,
  Message,
  Run,
  Step,
  Thread
} from '../wire';
import { ApiError, errorOf } from './errors';

export type Settings = ServerConnection.ISettings;

type Query = Record<string, string | number | boolean | undefined>;

interface IRequest {
  method?: 'GET' | 'POST' | 'DELETE';
  query?: Query;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

const API = 'openai/v1';
const OURS = 'code-interpreter';

const RICH_OUTPUTS =
  'step_details.tool_calls[*].code_interpreter.outputs[*].display_data';

/** Polls do not count as activity: an open panel must not keep a server from being culled. */
const POLL = { no_track_activity: 1 };

/**
 * The address of a path whose parts are given one by one and escaped here.
 */
export function urlOf(
  settings: Settings,
  root: string,
  parts: string[],
  query: Query = {}
): string {
  const url = URLExt.join(
    settings.baseUrl,
    root,
    ...parts.map(encodeURIComponent)
  );
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(
      ([key, value]) =>
        `${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`
    );
  return pairs.length > 0 ? `${url}?${pairs.join('&')}` : url;
}

async function send(
  settings: Settings,
  url: string,
  request: IRequest
): Promise<Response> {
  const init: RequestInit = {
    method: request.method ?? (request.body === undefined ? 'GET' : 'POST'),
    headers: { 'OpenAI-Beta': 'assistants=v2', ...request.headers },
    signal: request.signal
  };
  if (request.body !== undefined) {
    init.body = JSON.stringify(request.body);
    init.headers = { ...init.headers, 'Content-Type': 'application/json' };
  }
  let response: Response;
  try {
    response = await ServerConnection.makeRequest(url, init, settings);
  } catch (error) {
    if (request.signal?.aborted) {
      throw error;
    }
    throw new ApiError(0, {
      message: 'The Jupyter server does not answer.',
      code: 'no_connection'
    });
  }
  if (!response.ok) {
    throw errorOf(response.status, await response.text());
  }
  return response;
}

async function json<T>(
  settings: Settings,
  root: string,
  parts: string[],
  request: IRequest = {}
): Promise<T> {
  const url = urlOf(settings, root, parts, request.query);
  return (await send(settings, url, request)).json() as Promise<T>;
}

// -- assistants -----------------------------------------------------------------------------------

export function listAssistants(settings: Settings): Promise<IPage<Assistant>> {
  return json(settings, API, ['assistants'], { query: { limit: 100 } });
}

export function createAssistant(
  settings: Settings,
  body: object
): Promise<Assistant> {
  return json(settings, API, ['assistants'], { body });
}

export function updateAssistant(
  settings: Settings,
  id: string,
  body: object
): Promise<Assistant> {
  return json(settings, API, ['assistants', id], { body });
}

export function deleteAssistant(
  settings: Settings,
  id: string
): Promise<unknown> {
  return json(settings, API, ['assistants', id], { method: 'DELETE' });
}

// -- threads and messages -------------------------------------------------------------------------

export function listThreads(
  settings: Settings,
  query: { query?: string; limit?: number; after?: string }
): Promise<IPage<IThreadRow>> {
  return json(settings, OURS, ['threads'], {
    query: { ...query, ...POLL }
  });
}

export function createThread(
  settings: Settings,
  body: object = {}
): Promise<Thread> {
  return json(settings, API, ['threads'], { body });
}

export function getThread(settings: Settings, id: string): Promise<Thread> {
  return json(settings, API, ['threads', id]);
}

export function updateThread(
  settings: Settings,
  id: string,
  body: object
): Promise<Thread> {
  return json(settings, API, ['threads', id], { body });
}

export function deleteThread(settings: Settings, id: string): Promise<unknown> {
  return json(settings, API, ['threads', id], { method: 'DELETE' });
}

export function listMessages(
  settings: Settings,
  thread: string,
  query: { limit?: number; after?: string; order?: 'asc' | 'desc' }
): Promise<IPage<Message>> {
  return json(settings, API, ['threads', thread, 'messages'], { query });
}

export function createMessage(
  settings: Settings,
  thread: string,
  body: object
): Promise<Message> {
  return json(settings, API, ['threads', thread, 'messages'], { body });
}

// -- runs -----------------------------------------------------------------------------------------

export function listRuns(
  settings: Settings,
  thread: string,
  query: { limit?: number; after?: string }
): Promise<IPage<Run>> {
  return json(settings, API, ['threads', thread, 'runs'], { query });
}

export function getRun(
  settings: Settings,
  thread: string,
  run: string
): Promise<Run> {
  return json(settings, API, ['threads', thread, 'runs', run]);
}

export function createRun(
  settings: Settings,
  thread: string,
  body: object
): Promise<Run> {
  return json(settings, API, ['threads', thread, 'runs'], { body });
}

export function cancelRun(
  settings: Settings,
  thread: string,
  run: string
): Promise<Run> {
  return json(settings, API, ['threads', thread, 'runs', run, 'cancel'], {
    body: {}
  });
}

export function submitOutputs(
  settings: Settings,
  thread: string,
  run: string,
  outputs: Array<{ tool_call_id: string; output: string }>
): Promise<Run> {
  return json(
    settings,
    API,
    ['threads', thread, 'runs', run, 'submit_tool_outputs'],
    { body: { tool_outputs: outputs } }
  );
}

export function listSteps(
  settings: Settings,
  thread: string,
  run: string
): Promise<IPage<Step>> {
  return json(settings, API, ['threads', thread, 'runs', run, 'steps'], {
    query: { limit: 100, order: 'asc', 'include[]': RICH_OUTPUTS }
  });
}

/**
 * The body of a run's event stream, from after the event number *after*.
 */
export async function openEvents(
  settings: Settings,
  thread: string,
  run: string,
  options: { after: string; keepAlive: number; signal: AbortSignal }
): Promise<ReadableStream<Uint8Array>> {
  const url = urlOf(settings, API, ['threads', thread, 'runs', run, 'events'], {
    'include[]': RICH_OUTPUTS,
    after: options.after || undefined
  });
  const headers: Record<string, string> = {
    Accept: 'text/event-stream',
    'X-CI-Keep-Alive': String(options.keepAlive)
  };
  if (options.after) {
    headers['Last-Event-ID'] = options.after;
  }
  const response = await send(settings, url, {
    headers,
    signal: options.signal
  });
  if (response.body === null) {
    throw new ApiError(response.status, { message: 'The answer is empty.' });
  }
  return response.body;
}

// -- files ----------------------------------------------------------------------------------------

export function getFile(settings: Settings, id: string): Promise<FileObject> {
  return json(settings, API, ['files', id]);
}

export function deleteFile(settings: Settings, id: string): Promise<unknown> {
  return json(settings, API, ['files', id], { method: 'DELETE' });
}

export function fileUrl(settings: Settings, id: string): string {
  return urlOf(settings, API, ['files', id, 'content']);
}

/**
 * The content of a file, or its first *limit* bytes.
 */
export async function fileContent(
  settings: Settings,
  id: string,
  limit?: number
): Promise<Blob> {
  const headers: Record<string, string> =
    limit === undefined ? {} : { Range: `bytes=0-${limit - 1}` };
  const response = await send(settings, fileUrl(settings, id), { headers });
  return response.blob();
}

export function saveFile(
  settings: Settings,
  id: string,
  path: string
): Promise<ISavedFile> {
  return json(settings, OURS, ['files', id, 'save'], { body: { path } });
}

export function importFile(
  settings: Settings,
  path: string
): Promise<FileObject> {
  return json(settings, OURS, ['files', 'import'], { body: { path } });
}

export function exportNotebook(
  settings: Settings,
  thread: string,
  path: string
): Promise<ISavedFile> {
  return json(settings, OURS, ['threads', thread, 'notebook'], {
    body: { path }
  });
}

// -- the server and its sessions ------------------------------------------------------------------

export function getStatus(settings: Settings, probe = false): Promise<IStatus> {
  return json(settings, OURS, ['status'], {
    query: { probe: probe ? 1 : undefined, ...POLL }
  });
}

export function listModels(
  settings: Settings
): Promise<{ data: IModelInfo[] }> {
  return json(settings, API, ['models']);
}

export function listSessions(settings: Settings): Promise<IPage<ISession>> {
  return json(settings, OURS, ['sessions'], { query: POLL });
}

export function getSession(
  settings: Settings,
  thread: string
): Promise<ISession> {
  return json(settings, OURS, ['sessions', thread], { query: POLL });
}

export function restartSession(
  settings: Settings,
  thread: string
): Promise<ISession> {
  return json(settings, OURS, ['sessions', thread, 'restart'], { body: {} });
}

export function closeSession(
  settings: Settings,
  thread: string
): Promise<unknown> {
  return json(settings, OURS, ['sessions', thread], { method: 'DELETE' });
}
