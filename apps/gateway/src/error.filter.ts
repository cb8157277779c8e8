import type { IncomingMessage } from 'node:http';
import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { PerdureError, type ErrorRecord, type Logger } from '@perdure/kernel';
import { ZodError } from 'zod';
import { httpStatusOf, retryAfterSeconds } from './http-errors';

interface Reply {
  readonly sent: boolean;
  status(code: number): Reply;
  header(name: string, value: string | number): Reply;
  send(body: unknown): Reply;
}

export const BODY_BYTES_MAX = 1_200_000;
/** Of a body that is refused for its size: read and thrown away, since a client that still writes reads no answer. */
const DRAIN_BYTES_MAX = 32 * 1_024 * 1_024;
const DRAIN_MS_MAX = 5_000;

/** Every answer that is not a success has the form of an error record, and never a stack. */
@Catch()
export class ErrorFilter implements ExceptionFilter {
  constructor(private readonly log: Logger) {}

  catch(thrown: unknown, context: ArgumentsHost): void {
    const reply = context.switchToHttp().getResponse<Reply>();
    const error = recordOf(thrown);
    if (error.code === 'InternalError')
      this.log.error('a request failed', { error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
    if (reply.sent) return;
    const retryAfter = retryAfterSeconds(error);
    if (retryAfter !== undefined) reply.header('retry-after', retryAfter);
    const { raw } = context.switchToHttp().getRequest<{ readonly raw: IncomingMessage }>();
    const send = (): unknown => reply.status(httpStatusOf(error)).send({ error });
    if (error.code === 'PayloadTooLarge' && !raw.complete) drain(raw, send);
    else send();
  }
}

/** Calls back once, when the rest of the body has come or it is not worth waiting for. */
function drain(body: IncomingMessage, callback: () => unknown): void {
  let bytes = 0;
  let isOver = false;
  const finish = (): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(limit);
    callback();
  };
  const limit = setTimeout(finish, DRAIN_MS_MAX);
  body.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > DRAIN_BYTES_MAX) finish();
  });
  body.once('end', finish).once('close', finish);
  body.resume();
}

function recordOf(thrown: unknown): ErrorRecord {
  if (thrown instanceof PerdureError) return thrown.toRecord();
  const zod = zodErrorOf(thrown);
  if (zod) return malformed(zod.issues.map(({ path, message }) => ({ at: path.join('.') || 'body', message })));
  const { code, statusCode } = thrown as { readonly code?: string; readonly statusCode?: number };
  const status = thrown instanceof HttpException ? thrown.getStatus() : statusCode;
  if (status === 413 || code === 'FST_ERR_CTP_BODY_TOO_LARGE') {
    return {
      code: 'PayloadTooLarge',
      message: `The request is larger than ${BODY_BYTES_MAX} bytes. Put large data where the tools can read it, and send its address.`,
      reaction: 'terminal',
    };
  }
  if (status === 415)
    return {
      code: 'UnsupportedMediaType',
      message: 'Send JSON, with the header content-type: application/json.',
      reaction: 'terminal',
    };
  if (status === 404)
    return {
      code: 'RouteNotFound',
      message: `There is nothing here (${messageOf(thrown)}). The API is described at /openapi.json.`,
      reaction: 'terminal',
    };
  if (status !== undefined && status < 500)
    return {
      code: 'MalformedRequest',
      message: `${messageOf(thrown)}. The API is described at /openapi.json.`,
      reaction: 'terminal',
    };
  return {
    code: 'InternalError',
    message: 'The gateway failed to handle this request; its log says why. Repeating it with the same idempotency key is safe.',
    reaction: 'retryable',
  };
}

function malformed(issues: readonly { readonly at: string; readonly message: string }[]): ErrorRecord {
  const said = issues.map(({ at, message }) => `${at}: ${message}`).join('; ');
  return {
    code: 'MalformedRequest',
    message: `The request is not of the expected form: ${said}. The API is described at /openapi.json.`,
    reaction: 'terminal',
    details: { issues },
  };
}

/** Validation by nestjs-zod hides the error that tells where. */
function zodErrorOf(thrown: unknown): ZodError | undefined {
  if (thrown instanceof ZodError) return thrown;
  const inner = (thrown as { getZodError?: () => unknown }).getZodError?.();
  return inner instanceof ZodError ? inner : undefined;
}

function messageOf(thrown: unknown): string {
  return (thrown instanceof Error ? thrown.message : String(thrown)).replace(/\.$/, '').slice(0, 500);
}
