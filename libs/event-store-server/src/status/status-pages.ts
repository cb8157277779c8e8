import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { type Gate, TooManyLogins } from '../access/authenticator';
import type { Caller } from '../access/caller';
import { isAllowed } from '../access/decide-access';
import { NO_SETTINGS } from '../engine/stream-acl';

const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const TEXT_TYPE = 'text/plain; charset=utf-8';
const NO_ACLS = { aclOf: () => undefined, settings: () => NO_SETTINGS };

export interface StatusPages {
  readonly gate: Gate;
  /** Undefined when the server serves reads and accepts appends; else why not. */
  notReady(): Promise<string | undefined>;
  metrics(): Promise<string>;
}

interface Answer {
  readonly status: number;
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What people and probes ask over HTTP/1.1. */
export function statusListener(pages: StatusPages): RequestListener {
  return (request, response) => {
    answerTo(request, pages)
      .catch((): Answer => ({ status: 500, text: 'The answer could not be made.\n' }))
      .then((answer) => send(response, answer))
      .catch(() => response.destroy());
  };
}

async function answerTo({ method, url = '', headers }: IncomingMessage, pages: StatusPages): Promise<Answer> {
  if (method !== 'GET' && method !== 'HEAD') return { status: 405, text: 'Only GET.\n', headers: { allow: 'GET, HEAD' } };
  const [path] = url.split('?', 1);
  // Whoever can ask has the answer: nothing but this process is looked at.
  if (path === '/health/live') return { status: 204 };
  if (path === '/health/ready') return readyAnswer(pages);
  if (path === '/metrics') return metricsAnswer(pages, headers.authorization);
  return { status: 404, text: 'There are /health/live, /health/ready and /metrics; all else is gRPC.\n' };
}

async function readyAnswer(pages: StatusPages): Promise<Answer> {
  const reason = await pages.notReady();
  return reason === undefined ? { status: 204 } : { status: 503, text: `${reason}\n` };
}

async function metricsAnswer(pages: StatusPages, authorization: string | undefined): Promise<Answer> {
  let caller: Caller;
  try {
    caller = await pages.gate.authenticate(authorization);
  } catch (error) {
    return error instanceof TooManyLogins ? { status: 429, text: `${error.message}\n` } : wantsCredentials();
  }
  if (isAllowed(caller, { action: 'operate' }, NO_ACLS)) {
    return { status: 200, text: await pages.metrics(), headers: { 'content-type': EXPOSITION_TYPE } };
  }
  return caller.login === undefined ? wantsCredentials() : { status: 403, text: 'This is for $ops and $admins.\n' };
}

function wantsCredentials(): Answer {
  const challenge = 'Basic realm="event store", charset="UTF-8"';
  return { status: 401, text: 'Credentials are wanted.\n', headers: { 'www-authenticate': challenge } };
}

function send(response: ServerResponse, { status, text, headers }: Answer): void {
  const standing = { connection: 'close', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' };
  response.writeHead(status, { ...standing, ...(text === undefined ? {} : { 'content-type': TEXT_TYPE }), ...headers });
  response.end(text);
}
