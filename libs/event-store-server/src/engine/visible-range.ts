import { recordedAtMsOf } from '../store/record';
import type { StoreEngine } from './store-engine';
import type { StreamEntry } from './stream-entry';
import { describedStream } from './stream-limits';

/** Revisions that a reader may see: truncated ones are hidden, what is not durable does not exist yet. */
export function visibleRange(engine: StoreEngine, stream: StreamEntry): { readonly first: number; readonly end: number } {
  const end = stream.visibleEnd(engine.index.visible);
  const maxCount = stream.limits?.maxCount ?? (describedStream(stream.name) === undefined ? undefined : 1);
  const first = Math.max(stream.limits?.truncateBefore ?? 0, maxCount === undefined ? 0 : end - maxCount, stream.firstRevision);
  return { first: Math.min(first, end), end };
}

/** Undefined when events of this stream do not age. */
export function ageCheck(engine: StoreEngine, stream: StreamEntry): ((event: number) => boolean) | undefined {
  const maxAgeSeconds = stream.limits?.maxAgeSeconds;
  if (maxAgeSeconds === undefined) return undefined;
  const oldestMs = engine.nowMs() - maxAgeSeconds * 1000;
  return (event) => recordedAtMsOf(engine.record(event)) >= oldestMs;
}
