import type { FileObject } from '../wire';
import { ApiError, errorOf } from './errors';
import { urlOf } from './rest';
import type { Settings } from './rest';

/**
 * Sends a file to the server. XMLHttpRequest, because fetch tells nothing about progress.
 *
 * @param onProgress - called with the part that is sent, 0 to 1
 * @param signal - aborting it cancels the upload; the promise then rejects with an AbortError
 */
export function uploadFile(
  settings: Settings,
  file: Blob,
  name: string,
  onProgress: (part: number) => void,
  signal: AbortSignal
): Promise<FileObject> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(new DOMException('cancelled', 'AbortError'));
      return;
    }
    const form = new FormData();
    form.append('purpose', 'assistants');
    form.append('file', file, name);
    const request = new XMLHttpRequest();
    request.open('POST', urlOf(settings, 'openai/v1', ['files']));
    request.withCredentials = settings.init.credentials === 'include';
    if (settings.token) {
      request.setRequestHeader('Authorization', `token ${settings.token}`);
    }
    const xsrf = xsrfToken(document.cookie);
    if (xsrf) {
      request.setRequestHeader('X-XSRFToken', xsrf);
    }
    const abort = () => request.abort();
    signal.addEventListener('abort', abort);
    request.upload.onprogress = event => {
      if (event.lengthComputable && event.total > 0) {
        onProgress(event.loaded / event.total);
      }
    };
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) {
        resolve(JSON.parse(request.responseText) as FileObject);
      } else {
        reject(errorOf(request.status, request.responseText));
      }
    };
    request.onerror = () =>
      reject(
        new ApiError(0, {
          message: 'The upload broke off: the Jupyter server does not answer.',
          code: 'no_connection'
        })
      );
    request.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
    request.onloadend = () => signal.removeEventListener('abort', abort);
    request.send(form);
  });
}

/**
 * The value of Jupyter's `_xsrf` cookie, which requests have to repeat in a header.
 */
export function xsrfToken(cookies: string): string | undefined {
  return /(?:^|;\s*)_xsrf=([^;]*)/.exec(cookies)?.[1];
}
