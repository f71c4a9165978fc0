/**
 * A server of the API that tests script: real HTTP, real streams, on a free port.
 */
import { ServerConnection } from '@jupyterlab/services';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ISeen {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: any;
}

export type Route = (
  seen: ISeen,
  response: ServerResponse
) => unknown | Promise<unknown>;

export class ScriptedServer {
  /** Answers by "METHOD path"; what a route returns is sent as JSON, unless it sends itself. */
  routes: Record<string, Route> = {};
  seen: ISeen[] = [];

  async start(): Promise<ServerConnection.ISettings> {
    this._server = createServer((request, response) => {
      void this._answer(request, response);
    });
    await new Promise<void>(resolve =>
      this._server!.listen(0, '127.0.0.1', resolve)
    );
    const { port } = this._server.address() as AddressInfo;
    return ServerConnection.makeSettings({
      baseUrl: `http://127.0.0.1:${port}/user/alice/`,
      token: 'secret',
      appendToken: false,
      fetch,
      Request
    });
  }

  async stop(): Promise<void> {
    this._server?.closeAllConnections();
    await new Promise(resolve => this._server?.close(resolve));
  }

  paths(method: string): string[] {
    return this.seen
      .filter(seen => seen.method === method)
      .map(({ path }) => path);
  }

  private async _answer(
    request: IncomingMessage,
    response: ServerResponse
  ): Promise<void> {
    const url = new URL(request.url!, 'http://nowhere');
    let text = '';
    for await (const piece of request) {
      text += piece;
    }
    const seen: ISeen = {
      method: request.method!,
      path: url.pathname.replace('/user/alice/', ''),
      query: url.searchParams,
      headers: request.headers,
      body: text ? JSON.parse(text) : undefined
    };
    this.seen.push(seen);
    const route = this.routes[`${seen.method} ${seen.path}`];
    if (!route) {
      sendJson(response, 404, { error: { message: `No ${seen.path}` } });
      return;
    }
    const answer = await route(seen, response);
    if (!response.headersSent) {
      sendJson(response, 200, answer);
    }
  }

  private _server?: Server;
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown
): void {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(body));
}

/** Sends numbered events; stays open unless the last is "done". */
export function sendEvents(
  response: ServerResponse,
  events: ReadonlyArray<[string, unknown]>,
  first = 1
): void {
  if (!response.headersSent) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
  }
  events.forEach(([event, data], at) => {
    const text = event === 'done' ? '[DONE]' : JSON.stringify(data);
    response.write(`id: ${first + at}\nevent: ${event}\ndata: ${text}\n\n`);
    if (event === 'done') {
      response.end();
    }
  });
}

export function page<T extends { id: string }>(data: T[], more = false) {
  return {
    object: 'list',
    data,
    first_id: data[0]?.id ?? null,
    last_id: data[data.length - 1]?.id ?? null,
    has_more: more
  };
}

/** Waits until something is true. */
export async function until(
  check: () => boolean,
  what = 'the condition'
): Promise<void> {
  const end = Date.now() + 5000;
  while (!check()) {
    if (Date.now() > end) {
      throw new Error(`Waited in vain for ${what}`);
    }
    await new Promise(resolve => setTimeout(resolve, 10));
  }
}
