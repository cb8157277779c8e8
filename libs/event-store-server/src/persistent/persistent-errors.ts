import type { GroupKey } from '../wire/persistent-requests';

export type PersistentFault = 'exists' | 'does-not-exist' | 'failed' | 'dropped' | 'maximum-subscribers-reached';

/** Why an operation on a group is refused; the reason says what to do. */
export class PersistentSubscriptionError extends Error {
  constructor(
    readonly fault: PersistentFault,
    readonly key: GroupKey,
    readonly reason: string,
  ) {
    super(reason);
    this.name = 'PersistentSubscriptionError';
  }
}

export function doesNotExist(key: GroupKey): PersistentSubscriptionError {
  return new PersistentSubscriptionError(
    'does-not-exist',
    key,
    `Subscription group ${key.group} on stream ${key.source} does not exist.`,
  );
}

export function dropped(key: GroupKey): PersistentSubscriptionError {
  return new PersistentSubscriptionError('dropped', key, `Subscription group ${key.group} on stream ${key.source} was dropped.`);
}

export function failed(key: GroupKey, reason: string): PersistentSubscriptionError {
  return new PersistentSubscriptionError('failed', key, reason);
}
