import {
  Cancelled,
  errorRecordOf,
  fitsInto,
  PerdureError,
  Retryable,
  Terminal,
  utf8Bytes,
  type ErrorRecord,
  type Reaction,
} from '@perdure/kernel';
import { PAYLOAD_BYTES_MAX } from '@perdure/run-contract';
import type { RetryPolicy } from '@perdure/tenant-contract';
import type { Tool } from './definitions';
import { ERROR_DETAILS_LENGTH_MAX, ERROR_MESSAGE_LENGTH_MAX } from './bounds';

/** A value as it goes over the wire, and as it comes back: what code is given live equals what it is given on replay. */
export interface Serialised {
  readonly text: string;
  readonly value: unknown;
}

/** How something ended, with the text that is recorded. */
export type Ended =
  | { readonly ok: true; readonly value: unknown; readonly text: string }
  | { readonly ok: false; readonly error: ErrorRecord; readonly text: string };

/** @throws Terminal `OutputNotSerialisable` or `PayloadTooLarge`, naming `what` */
export function serialise(value: unknown, what: string): Serialised {
  if (value === undefined || value === null) return { text: 'null', value: null };
  const isPlain =
    typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value));
  const text = isPlain ? JSON.stringify(value) : textOf(value, what);
  refuseLarge(text, what);
  return { text, value: isPlain ? value : (JSON.parse(text) as unknown) };
}

function textOf(value: unknown, what: string): string {
  let reason: string | undefined;
  try {
    reason = lossOf(value, '', new Set());
    const text = reason === undefined ? JSON.stringify(value) : undefined;
    if (text !== undefined) return text;
  } catch (error) {
    reason = error instanceof Error ? error.message : 'it threw while it was written';
  }
  throw new Terminal(
    'OutputNotSerialisable',
    `${what} cannot be written as JSON: ${reason ?? 'it has no JSON form'}. Return plain data.`,
    {
      details: { what },
    },
  );
}

/** Where JSON would silently lose something; undefined if nowhere. */
function lossOf(value: unknown, path: string, parents: Set<object>): string | undefined {
  const where = path === '' ? 'it' : path;
  if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint')
    return `${where} is a ${typeof value}`;
  if (typeof value === 'number' && !Number.isFinite(value)) return `${where} is ${value}`;
  if (typeof value !== 'object' || value === null) return undefined;
  if (parents.has(value)) return `${where} refers back to what contains it`;
  if (typeof (value as { toJSON?: unknown }).toJSON === 'function') return undefined;
  const kind = opaqueKind(value);
  if (kind !== undefined) return `${where} is a ${kind}`;
  parents.add(value);
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      const loss = lossOf(value[index], `${path}[${index}]`, parents);
      if (loss !== undefined) return loss;
    }
  } else {
    for (const key of Object.keys(value)) {
      const loss = lossOf((value as Record<string, unknown>)[key], path === '' ? key : `${path}.${key}`, parents);
      if (loss !== undefined) return loss;
    }
  }
  parents.delete(value);
  return undefined;
}

function opaqueKind(value: object): string | undefined {
  if (value instanceof Map) return 'Map';
  if (value instanceof Set) return 'Set';
  if (value instanceof Promise) return 'Promise (is an await missing?)';
  if (value instanceof Error) return 'Error (throw it instead)';
  if (value instanceof WeakMap || value instanceof WeakSet || value instanceof RegExp) return value.constructor.name;
  return ArrayBuffer.isView(value) || value instanceof ArrayBuffer ? 'binary buffer (encode it as text)' : undefined;
}

function refuseLarge(text: string, what: string): void {
  if (fitsInto(PAYLOAD_BYTES_MAX, text)) return;
  throw new Terminal(
    'PayloadTooLarge',
    `${what} takes ${utf8Bytes(text)} bytes; the limit is ${PAYLOAD_BYTES_MAX}. Store it elsewhere and return a reference.`,
    {
      details: { what, bytesMax: PAYLOAD_BYTES_MAX },
    },
  );
}

/** A thrown value of any kind as a record that every border accepts. It never throws. */
export function recordOf(thrown: unknown, reaction: Reaction): ErrorRecord {
  try {
    return bounded(errorRecordOf(thrown, reaction));
  } catch {
    return { code: 'NonErrorThrown', message: 'A value was thrown that cannot be described.', reaction };
  }
}

function bounded(record: ErrorRecord): ErrorRecord {
  const { retryAfterMs } = record;
  const details = boundedDetails(record.details);
  return {
    code: String(record.code || 'Error').slice(0, 200),
    message: String(record.message).slice(0, ERROR_MESSAGE_LENGTH_MAX),
    reaction: record.reaction,
    ...(typeof retryAfterMs === 'number' && retryAfterMs >= 0 ? { retryAfterMs: Math.ceil(retryAfterMs) } : {}),
    ...(details === undefined ? {} : { details }),
  };
}

function boundedDetails(details: ErrorRecord['details']): ErrorRecord['details'] {
  if (details === undefined) return undefined;
  try {
    const text = JSON.stringify(details);
    return text.length > ERROR_DETAILS_LENGTH_MAX ? undefined : (JSON.parse(text) as Record<string, unknown>);
  } catch {
    return undefined;
  }
}

/** Word for word the rule of the run's owner, who alone sets the timer of the next attempt. */
export function mayBeTriedAgain(error: ErrorRecord, { nonRetryable }: RetryPolicy): boolean {
  return error.reaction === 'retryable' && nonRetryable?.includes(error.code) !== true;
}

/** Whether the end of a failed attempt is the owner's to tell: it alone knows when the time is over, and what a person says. */
export function asksOwner({ retry, timeouts, onExhausted }: Tool, ended: Ended): boolean {
  const isLimited = timeouts?.totalMs !== undefined || onExhausted !== undefined;
  return isLimited && !ended.ok && mayBeTriedAgain(ended.error, retry);
}

export function succeeded(value: unknown, what: string): Ended {
  try {
    const { text, value: plain } = serialise(value, what);
    return { ok: true, value: plain, text: `{"ok":true,"value":${text}}` };
  } catch (error) {
    return failed(recordOf(error, 'terminal'));
  }
}

export function failed(error: ErrorRecord): Extract<Ended, { ok: false }> {
  return { ok: false, error, text: `{"ok":false,"error":${JSON.stringify(error)}}` };
}

/** The error that code is given: made from the record, so that it is the same live and on replay. */
export function errorOf(record: ErrorRecord): PerdureError {
  const options = {
    ...(record.details === undefined ? {} : { details: record.details }),
    ...(record.retryAfterMs === undefined ? {} : { retryAfterMs: record.retryAfterMs }),
  };
  switch (record.reaction) {
    case 'terminal':
      return new Terminal(record.code, record.message, options);
    case 'retryable':
      return new Retryable(record.code, record.message, options);
    case 'cancelled':
      return new Cancelled(record.code, record.message, options);
    case 'suspended':
      return PerdureError.fromRecord(record);
  }
}
