import type { GroupKey, GroupSettings, ProposedSettings, StrategyName } from '../wire/persistent-requests';
import type { EventFilter } from '../wire/requests';

const STRATEGIES: readonly string[] = ['RoundRobin', 'DispatchToSingle', 'Pinned', 'PinnedByCorrelation'];

export function isStrategy(name: string): name is StrategyName {
  return STRATEGIES.includes(name);
}

/** A group as it is written down. */
export interface GroupEntry extends GroupKey {
  readonly filter: EventFilter | undefined;
  readonly settings: GroupSettings;
  /** Where it begins while it has no checkpoint. "At the end" is a place of its own: a restart must not move it. */
  readonly startsAfter: number;
}

/** Undefined when the settings can be used, else what is wrong with them. */
export function settingsFault(settings: ProposedSettings): string | undefined {
  const { strategy, liveBufferSize, readBatchSize, historyBufferSize, ...rest } = settings;
  if (!isStrategy(strategy)) return `Consumer strategy ${strategy} does not exist.`;
  if (liveBufferSize < 1) return 'The live buffer must have at least one place.';
  if (readBatchSize < 1) return 'A read batch must have at least one event.';
  if (historyBufferSize <= readBatchSize) return 'The history buffer must be larger than the read batch.';
  const { messageTimeoutMs, maxRetryCount, checkpointAfterMs, minCheckpointCount, maxCheckpointCount, maxSubscriberCount } = rest;
  const counts = [messageTimeoutMs, maxRetryCount, checkpointAfterMs, minCheckpointCount, maxCheckpointCount, maxSubscriberCount];
  if (counts.some((count) => count < 0)) return 'Timeouts and counts must not be negative.';
  return undefined;
}
