import { ErrorType } from '@eventstore/db-client';
import { StoreAccessDenied, StoreUnavailable } from '@perdure/kernel';

const PERMISSION_DENIED = 7;
const UNAVAILABLE = 14;
const UNAUTHENTICATED = 16;

interface ClientError {
  /** A status of gRPC. */
  readonly code?: unknown;
  readonly type?: unknown;
  /** What EventStoreDB adds to a status. */
  readonly metadata?: { get(key: string): readonly unknown[] };
}

/** The connection could not be made, or was lost. */
export function isUnreachable(error: unknown): boolean {
  const { code, type } = error as ClientError;
  return code === UNAVAILABLE || type === ErrorType.UNAVAILABLE;
}

/** Nothing can be read of a stream that was deleted for ever. */
export function isStreamGone(error: unknown): boolean {
  const exception = String((error as ClientError).metadata?.get('exception')[0]);
  return exception === ErrorType.STREAM_DELETED || exception === ErrorType.STREAM_NOT_FOUND;
}

/** A call that a server refuses for this reason was refused before anything was done. */
function isDenied(error: unknown): boolean {
  const { code, type } = error as ClientError;
  return code === UNAUTHENTICATED || code === PERMISSION_DENIED || type === ErrorType.ACCESS_DENIED;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function accessDenied(error: unknown): StoreAccessDenied {
  return new StoreAccessDenied(
    `The event store refuses access: ${reasonOf(error)} Check the credentials of the connection string, and the access lists.`,
    error,
  );
}

/** What an error of the client asks for. */
export function failureOf(error: unknown): StoreUnavailable | StoreAccessDenied {
  if (error instanceof StoreUnavailable || error instanceof StoreAccessDenied) return error;
  if (isDenied(error)) return accessDenied(error);
  return new StoreUnavailable(`The event store gave no definite answer: ${reasonOf(error)}`, error);
}
