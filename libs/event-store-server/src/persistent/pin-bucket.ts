import { linkedPlace, LINK_TYPE } from '../engine/links';
import { eventTypeOf, recordedEventOf, streamNameOf } from '../store/record';
import { metadataOfRecordedEvent } from '../wire/recorded-event';
import { bucketOf } from './consumer-strategies';
import type { StrategyName } from '../wire/persistent-requests';

/** Part of the events that `record` belongs to. Links belong where their events do. */
export function pinBucket(strategy: StrategyName, record: Buffer): number {
  switch (strategy) {
    case 'RoundRobin':
    case 'DispatchToSingle':
      return 0;
    case 'Pinned':
      return bucketOf(sourceStream(record));
    case 'PinnedByCorrelation':
      return bucketOf(correlationId(record) ?? sourceStream(record));
  }
}

export function isPinning(strategy: StrategyName): boolean {
  return strategy === 'Pinned' || strategy === 'PinnedByCorrelation';
}

function sourceStream(record: Buffer): string {
  const linked = eventTypeOf(record) === LINK_TYPE ? linkedPlace(record) : undefined;
  return linked?.stream ?? streamNameOf(record);
}

/** Undefined when the metadata is not the JSON of an object that has one. */
function correlationId(record: Buffer): string | undefined {
  const metadata = metadataOfRecordedEvent(recordedEventOf(record));
  if (metadata.length === 0) return undefined;
  try {
    const parsed = JSON.parse(metadata.toString('utf8')) as { $correlationId?: unknown } | null;
    const id = parsed?.$correlationId;
    return typeof id === 'string' ? id : undefined;
  } catch {
    return undefined;
  }
}
