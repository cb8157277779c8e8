import type { StoreEngine } from '../engine/store-engine';
import { visibleRange } from '../engine/visible-range';
import { unlessDamaged } from './event-content';
import { checkpointStream, parsePlace, placeText } from './group-names';
import type { GroupKey } from '../wire/persistent-requests';
import { type Written, dataText, json, writeMetadata, writeState } from './state-streams';

const CHECKPOINT_TYPE = '$SubscriptionCheckpoint';
/** The newest, and the one before it. */
const CHECKPOINTS_KEPT = 2;

/** Undefined when there is none. The one before stands in for a damaged one: to begin too early is to repeat, no more. */
export function readCheckpoint(engine: StoreEngine, key: GroupKey): number | undefined {
  const stream = engine.index.find(checkpointStream(key));
  if (stream === undefined || stream.isTombstoned) return undefined;
  const { first, end } = visibleRange(engine, stream);
  for (let revision = end - 1; revision >= first; revision -= 1) {
    const text = unlessDamaged(() => dataText(engine.record(stream.event(revision))));
    if (typeof text === 'string') return parsePlace(key, text.replace(/^"|"$/g, ''));
  }
  return undefined;
}

export function writeCheckpoint(engine: StoreEngine, key: GroupKey & { readonly place: number }, written: Written): void {
  const stream = checkpointStream(key);
  const write = (): void => writeState(engine, { stream, type: CHECKPOINT_TYPE, data: json(placeText(key, key.place)) }, written);
  const entry = engine.index.find(stream);
  if (entry?.limits?.maxCount === CHECKPOINTS_KEPT) return write();
  // What a group of this name left behind before it was deleted stays hidden.
  const begin = entry === undefined || entry.isEmpty ? {} : { $tb: entry.lastRevision + 1 };
  const metadata = { $maxCount: CHECKPOINTS_KEPT, ...begin };
  writeMetadata(engine, { stream, metadata }, (failure) => (failure === undefined ? write() : written(failure)));
}
