import type { IApiErrorBody } from '../wire';

/**
 * A request that the server refused. `status` is 0 when there was no answer at all.
 */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    body: Partial<IApiErrorBody> & { message: string }
  ) {
    super(body.message);
    this.name = 'ApiError';
    this.type = body.type ?? '';
    this.param = body.param ?? null;
    this.code = body.code ?? null;
  }

  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/**
 * The error that a response's body tells of, whatever answered: our API, Jupyter or a proxy.
 */
export function errorOf(status: number, text: string): ApiError {
  try {
    const body = JSON.parse(text);
    const error = body?.error ?? body;
    if (typeof error?.message === 'string') {
      return new ApiError(status, error);
    }
  } catch {
    // not JSON: a proxy's page
  }
  return new ApiError(status, { message: `HTTP ${status}` });
}
