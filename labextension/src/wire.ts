/**
 * What goes over the wire: the objects of the Assistants API as the official client has them, and
 * what this server adds to them. Types only.
 */
import type { Assistant } from 'openai/resources/beta/assistants';
import type {
  Message as StandardMessage,
  MessageDeltaEvent
} from 'openai/resources/beta/threads/messages';
import type { Run as StandardRun } from 'openai/resources/beta/threads/runs/runs';
import type { RunStep } from 'openai/resources/beta/threads/runs/steps';
import type { Thread } from 'openai/resources/beta/threads/threads';
import type { FileObject } from 'openai/resources/files';

export type { Assistant, FileObject, Thread, MessageDeltaEvent };
export type Message = StandardMessage;
export type Run = StandardRun;
export type RunStatus = Run['status'];
export type Content = Message['content'][number];
export type Annotation = Extract<
  Content,
  { type: 'text' }
>['text']['annotations'][number];

/** A rich output, sent where `include[]` asks for it. */
export interface IDisplayData {
  type: 'display_data';
  data: Record<string, unknown>;
  metadata?: Record<string, unknown>;
}

export type Output =
  | { type: 'logs'; logs: string }
  | { type: 'image'; image: { file_id: string } }
  | IDisplayData;

export interface ICodeCall {
  id: string;
  type: 'code_interpreter';
  code_interpreter: { input: string; outputs: Output[] };
}

export interface IFunctionCall {
  id: string;
  type: 'function';
  function: { name: string; arguments: string; output: string | null };
}

export type ToolCall = ICodeCall | IFunctionCall;

/** A run step; tool calls that the panel does not know are dropped when it is read. */
export type Step = Omit<RunStep, 'step_details' | 'metadata'> & {
  metadata?: Record<string, string> | null;
  step_details:
    | { type: 'message_creation'; message_creation: { message_id: string } }
    | { type: 'tool_calls'; tool_calls: ToolCall[] };
};

export interface IStepDelta {
  id: string;
  object: 'thread.run.step.delta';
  delta: {
    step_details?: {
      type: string;
      tool_calls?: Array<{
        index: number;
        id?: string;
        type: string;
        code_interpreter?: {
          input?: string;
          outputs?: Array<{ index: number } & Partial<Output>>;
        };
        function?: {
          name?: string;
          arguments?: string;
          output?: string | null;
        };
      }>;
    };
  };
}

/** How code is getting on between its last character and its first output. */
export interface IExecutionEvent {
  id: string;
  state: 'waiting' | 'running';
}

export interface IPage<T> {
  object: 'list';
  data: T[];
  first_id: string | null;
  last_id: string | null;
  has_more: boolean;
}

export interface IModelInfo {
  id: string;
  created: number;
  owned_by: string;
}

export interface IIsolation {
  /** 3 is the strongest, 0 is none. */
  level: number;
  sufficient?: boolean;
  layers: string[];
  /** "remote" where the code runs on another machine. */
  kind?: string;
  notes?: string[];
  reasons?: string[];
  hints?: string[];
}

export interface IStatus {
  version: string;
  isolation: IIsolation | null;
  models: { default: string; data: IModelInfo[] };
  limits: Record<string, number | null>;
  sessions: number;
  /** Model servers that answer on this machine. */
  local_models?: ILocalModels[];
}

export interface ILocalModels {
  /** "ollama", "lmstudio" or "local". */
  name: string;
  base_url: string;
  /** The names under which its models can be picked. */
  models: string[];
}

export interface IUsage {
  memory_bytes: number | null;
  memory_limit_bytes: number | null;
  cpu_percent: number | null;
  processes: number | null;
  processes_limit: number | null;
  disk_bytes: number | null;
  disk_limit_bytes: number | null;
}

/** The kernel of a thread; `state` is "none" when there is no live one. */
export interface ISession {
  object: 'session';
  thread_id: string;
  id: string | null;
  kernel_id: string | null;
  state: string;
  created_at: number | null;
  last_active_at: number | null;
  expires_at: number | null;
  isolation: IIsolation | null;
  usage: IUsage | null;
}

/** One line of the list of threads. */
export interface IThreadRow {
  id: string;
  created_at: number;
  updated_at?: number;
  title: string;
  metadata: Record<string, string>;
  run: {
    id: string;
    status: RunStatus;
    created_at: number;
    last_error?: { code: string; message: string } | null;
  } | null;
  session: string;
}

export interface ISavedFile {
  path: string;
  name: string;
  type: string;
  size: number;
}

export interface IApiErrorBody {
  message: string;
  type: string;
  param: string | null;
  code: string | null;
}
