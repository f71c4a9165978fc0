/**
 * What went wrong, in plain words: what happened, what is kept, what to do. Pure.
 */
import type { TranslationBundle } from '@jupyterlab/translation';

import { ApiError } from '../client/errors';
import type { Run } from '../wire';

/** What a notice offers to do; the view knows the label, the panel's model the deed. */
export type Deed =
  | 'retry'
  | 'continue'
  | 'lean'
  | 'connect'
  | 'models'
  | 'new-thread'
  | 'isolation'
  | 'reload';

export interface INotice {
  tone: 'info' | 'warning' | 'error';
  /** The first sentence, set in bold. */
  title: string;
  text: string;
  /** The server's own words, shown on demand. */
  details: string;
  deeds: Deed[];
}

/**
 * What to say about a run that did not complete; null for one that did or goes on.
 *
 * @param kept - whether the variables survived; null where no code was running
 */
export function noticeOfRun(
  run: Run,
  trans: TranslationBundle,
  kept: boolean | null = null
): INotice | null {
  switch (run.status) {
    case 'failed':
      return noticeOfFailure(
        run.last_error?.code ?? 'server_error',
        run.last_error?.message ?? '',
        trans
      );
    case 'expired':
      return {
        tone: 'error',
        title: trans.__('The run reached its time limit.'),
        text: trans.__('What was finished is kept, and so are the files.'),
        details: run.last_error?.message ?? '',
        deeds: ['continue']
      };
    case 'incomplete':
      return {
        tone: 'warning',
        title: trans.__('The answer stops here.'),
        text: trans.__('The model reached the limit of tokens for one run.'),
        details: run.incomplete_details?.reason ?? '',
        deeds: ['continue']
      };
    case 'cancelled':
      return {
        tone: 'info',
        title: trans.__('Stopped.'),
        text:
          kept === null
            ? trans.__('No code was running: nothing is lost.')
            : kept
              ? trans.__('Variables and files are kept.')
              : trans.__('Files are kept, variables are gone.'),
        details: run.last_error?.message ?? '',
        deeds: ['retry']
      };
    default:
      return null;
  }
}

interface IRule {
  when: RegExp;
  say: (trans: TranslationBundle) => Omit<INotice, 'details' | 'tone'>;
}

/** The first rule that fits the server's code and words decides. */
const RULES: IRule[] = [
  {
    when: /memory (limit|ran out)|out of memory|memoryerror|oom/i,
    say: trans => ({
      title: trans.__('Stopped at the memory limit.'),
      text: trans.__('Variables are gone, files are kept.'),
      deeds: ['retry', 'lean']
    })
  },
  {
    when: /sandbox|isolat|bubblewrap|landlock/i,
    say: trans => ({
      title: trans.__('This server cannot isolate code as its policy demands.'),
      text: trans.__('No code was run. The details say what to set up.'),
      deeds: ['isolation', 'retry']
    })
  },
  {
    when: /insufficient_quota|exceeded your current quota|billing/i,
    say: trans => ({
      title: trans.__('The account of the model is out of credit.'),
      text: trans.__(
        'Waiting does not help; the plan or the budget has to grow.'
      ),
      deeds: ['retry', 'models']
    })
  },
  {
    when: /rate.?limit|\b429\b|too many requests/i,
    say: trans => ({
      title: trans.__('The model is asked too often at the moment.'),
      text: trans.__('Nothing is lost. Wait a little and try again.'),
      deeds: ['retry', 'models']
    })
  },
  {
    when: /api[ _-]?key|authenticat|unauthori[sz]ed|\b401\b|credential/i,
    say: trans => ({
      title: trans.__('The model refused the key.'),
      text: trans.__('The key is set where the Jupyter server is started.'),
      deeds: ['connect', 'retry']
    })
  },
  {
    when: /model.*(does not exist|not found)|model_not_found|no model/i,
    say: trans => ({
      title: trans.__('There is no such model.'),
      text: trans.__('Pick another one below, then try again.'),
      deeds: ['models', 'retry']
    })
  },
  {
    when: /context.?(length|window)|maximum context|prompt is too long/i,
    say: trans => ({
      title: trans.__('The thread has become too long for this model.'),
      text: trans.__(
        'Start a new thread, or pick a model with a larger window.'
      ),
      deeds: ['new-thread', 'models']
    })
  },
  {
    when: /restart|shut ?down|server (was )?stopped/i,
    say: trans => ({
      title: trans.__('The Jupyter server was restarted during the run.'),
      text: trans.__('Files are kept, variables are gone.'),
      deeds: ['retry']
    })
  },
  {
    when: /broke off/i,
    say: trans => ({
      title: trans.__('The answer broke off.'),
      text: trans.__(
        'The connection to the model was lost. What was finished is kept.'
      ),
      deeds: ['retry', 'models']
    })
  },
  {
    when: /refused the request|invalid_request_error/i,
    say: trans => ({
      title: trans.__('The model server refused the request.'),
      text: trans.__(
        'The details say why. Another model may take it, or a new thread.'
      ),
      deeds: ['models', 'new-thread', 'retry']
    })
  },
  {
    when: /unreachable|connect|timed? ?out|no answer|\b50[234]\b/i,
    say: trans => ({
      title: trans.__('The model does not answer.'),
      text: trans.__(
        'What was finished is kept. Try again, or pick another model.'
      ),
      deeds: ['retry', 'connect']
    })
  }
];

function noticeOfFailure(
  code: string,
  message: string,
  trans: TranslationBundle
): INotice {
  const rule = RULES.find(({ when }) => when.test(`${code} ${message}`));
  if (rule) {
    return { tone: 'error', details: message, ...rule.say(trans) };
  }
  return {
    tone: 'error',
    title: trans.__('The run failed.'),
    text: message || trans.__('The server gave no reason.'),
    details: '',
    deeds: ['retry']
  };
}

/** What to say about a request that the server refused, or that did not reach it. */
export function noticeOfError(
  error: unknown,
  trans: TranslationBundle
): INotice {
  if (!(error instanceof ApiError)) {
    return {
      tone: 'error',
      title: trans.__('Something went wrong in the panel.'),
      text: error instanceof Error ? error.message : String(error),
      details: '',
      deeds: ['reload']
    };
  }
  if (error.status === 0) {
    return {
      tone: 'error',
      title: trans.__('The Jupyter server does not answer.'),
      text: trans.__('What is on the server is kept. Check the connection.'),
      details: '',
      deeds: ['reload']
    };
  }
  if (error.status === 403 || error.status === 401) {
    return {
      tone: 'error',
      title: trans.__('The Jupyter server refused the request.'),
      text: trans.__('Log in again by reloading the page.'),
      details: error.message,
      deeds: []
    };
  }
  if (error.status === 404 && error.code === null && error.type === '') {
    return {
      tone: 'error',
      title: trans.__('The code interpreter is not running on this server.'),
      text: trans.__(
        'Its server extension (jupyter_ci_ext) has to be installed and enabled where the Jupyter server runs.'
      ),
      details: error.message,
      deeds: ['reload']
    };
  }
  return noticeOfFailure(error.code ?? '', error.message, trans);
}

/** What people call a model server on their machine. */
export function serverName(name: string, trans: TranslationBundle): string {
  const known: Record<string, string> = {
    ollama: 'Ollama',
    lmstudio: 'LM Studio'
  };
  return known[name] ?? trans.__('A model server');
}
