import type { AppendOutcome } from '../engine/store-engine';
import { EventDamaged, NameTooLong, StorageFull, StoreOverloaded } from '../errors';
import type { AppendTarget } from '../wire/requests';
import type { ProposedEvent } from '../wire/recorded-event';
import { type BatchError, wrongVersionFields } from '../wire/responses';
import { Code, GrpcError } from './grpc-status';

export const APPEND_BYTES_MAX = 1024 * 1024;

/** An append in parts, as it came: its events lie in their messages, and a small one is an object all the same. */
export const RECEIVED_BYTES_MAX = 64 * 1024 * 1024;
const OBJECT_BYTES = 400;

/** What is kept in memory for a message with events until the last one has come. */
export function receivedBytes(message: Buffer, events: number): number {
  return message.length + events * OBJECT_BYTES;
}

export function appendBytes(events: readonly ProposedEvent[]): number {
  let total = 0;
  for (const { data, metadata, type } of events) total += data.length + metadata.length + 2 * type.length;
  return total;
}

/** -1 and the like, as EventStoreDB numbers the expectations in its trailers. */
function expectedNumber(expected: AppendTarget['expected']): string {
  return typeof expected === 'number' ? String(expected) : { 'no-stream': '-1', any: '-2', 'stream-exists': '-4' }[expected];
}

export function streamDeletedError(stream: string): GrpcError {
  return new GrpcError(Code.failedPrecondition, `Event stream '${stream}' is deleted.`, {
    exception: 'stream-deleted',
    'stream-name': stream,
  });
}

export function wrongVersionError(target: AppendTarget, current: number): GrpcError {
  return new GrpcError(
    Code.failedPrecondition,
    `Append failed due to WrongExpectedVersion. Stream: ${target.stream}, Expected version: ${expectedNumber(target.expected)}, Actual version: ${current}`,
    {
      exception: 'wrong-expected-version',
      'stream-name': target.stream,
      'expected-version': expectedNumber(target.expected),
      ...(current < 0 ? {} : { 'actual-version': String(current) }),
    },
  );
}

export function tooLargeError(limit: number): GrpcError {
  return new GrpcError(Code.invalidArgument, `Maximum Append Size of ${limit} Exceeded.`, {
    exception: 'maximum-append-size-exceeded',
    'maximum-append-size': String(limit),
  });
}

export function missingPropertiesError(missing: readonly string[]): GrpcError {
  return new GrpcError(Code.invalidArgument, `Required metadata is missing: ${missing.join(', ')}.`, {
    exception: 'missing-required-metadata-property',
    'required-metadata-properties': missing.join(','),
  });
}

export function damagedError({ message }: EventDamaged): GrpcError {
  return new GrpcError(Code.dataLoss, message);
}

export function failureError(error: Error): GrpcError {
  if (error instanceof NameTooLong) return new GrpcError(Code.invalidArgument, error.message);
  if (error instanceof EventDamaged) return damagedError(error);
  const isRefusal = error instanceof StorageFull || error instanceof StoreOverloaded;
  return new GrpcError(isRefusal ? Code.resourceExhausted : Code.unavailable, error.message);
}

/** The form of a refusal inside the answer to a batch append. */
export function batchErrorOf(outcome: Exclude<AppendOutcome, { kind: 'appended' }>, target: AppendTarget): BatchError {
  if (outcome.kind === 'wrong-version') {
    return {
      code: Code.alreadyExists,
      message: 'Wrong expected version.',
      detail: 'WrongExpectedVersion',
      fields: wrongVersionFields(outcome.current, target.expected),
    };
  }
  if (outcome.kind === 'stream-deleted') {
    return {
      code: Code.notFound,
      message: 'The stream is deleted.',
      detail: 'StreamDeleted',
      fields: (writer) => writer.message(1, (identifier) => identifier.text(3, target.stream)),
    };
  }
  // The client shows the message only for a detail that it does not know.
  const { code, message } = failureError(outcome.error);
  return { code, message, detail: outcome.error.name };
}

export function batchTooLarge(limit: number): BatchError {
  return {
    code: Code.invalidArgument,
    message: `Maximum Append Size of ${limit} Exceeded.`,
    detail: 'MaximumAppendSizeExceeded',
    fields: (writer) => writer.uint(1, limit),
  };
}

export function batchBadRequest(message: string): BatchError {
  return { code: Code.invalidArgument, message, detail: 'BadRequest', fields: (writer) => writer.text(1, message) };
}

export const BATCH_TIMEOUT: BatchError = { code: Code.deadlineExceeded, message: 'Timeout', detail: 'Timeout' };
