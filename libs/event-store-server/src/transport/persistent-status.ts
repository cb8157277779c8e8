import { type PersistentFault, PersistentSubscriptionError } from '../persistent/persistent-errors';
import { Code, GrpcError } from './grpc-status';

const CODES: Readonly<Record<PersistentFault, number>> = {
  'does-not-exist': Code.notFound,
  exists: Code.alreadyExists,
  failed: Code.internal,
  dropped: Code.cancelled,
  'maximum-subscribers-reached': Code.failedPrecondition,
};

/** What clients read in the trailers; other errors stay as they are. */
export function persistentError(error: unknown): unknown {
  if (!(error instanceof PersistentSubscriptionError)) return error;
  const { fault, key, reason } = error;
  return new GrpcError(CODES[fault], reason, {
    exception: fault === 'maximum-subscribers-reached' ? fault : `persistent-subscription-${fault}`,
    'stream-name': key.source,
    'group-name': key.group,
    ...(fault === 'failed' ? { reason } : {}),
  });
}
