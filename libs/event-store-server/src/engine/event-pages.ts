import { eventIdOf, recordedAtMsOf, recordedEventOf } from '../store/record';
import { putReadEvent } from '../wire/responses';
import { withStructuredId } from '../wire/recorded-event';
import type { StoreEngine } from './store-engine';
import type { StreamEntry } from './stream-entry';
import { describedStream } from './stream-limits';

export const PAGE_EVENTS = 256;
export const PAGE_BYTES = 256 * 1024;

/** Revisions that a reader may see: truncated ones are hidden, what is not durable does not exist yet. */
export function visibleRange(engine: StoreEngine, stream: StreamEntry): { readonly first: number; readonly end: number } {
  const end = stream.visibleCount(engine.index.visible);
  const maxCount = stream.limits?.maxCount ?? (describedStream(stream.name) === undefined ? undefined : 1);
  const first = Math.max(stream.limits?.truncateBefore ?? 0, maxCount === undefined ? 0 : end - maxCount, 0);
  return { first: Math.min(first, end), end };
}

/** Undefined when events of this stream do not age. */
export function ageCheck(engine: StoreEngine, stream: StreamEntry): ((event: number) => boolean) | undefined {
  const maxAgeSeconds = stream.limits?.maxAgeSeconds;
  if (maxAgeSeconds === undefined) return undefined;
  const oldestMs = engine.nowMs() - maxAgeSeconds * 1000;
  return (event) => recordedAtMsOf(engine.record(event)) >= oldestMs;
}

/** A page in the making: event numbers, bounded in count and bytes. */
export class Page {
  readonly events: number[] = [];
  private bytes = 0;

  constructor(
    private readonly engine: StoreEngine,
    private readonly limit = PAGE_EVENTS,
  ) {}

  get isFull(): boolean {
    return this.events.length >= this.limit || this.bytes >= PAGE_BYTES;
  }

  add(event: number): void {
    this.events.push(event);
    this.bytes += this.engine.index.columns.length(event);
  }

  /** All events as framed answers, one after the other. */
  frame(structuredIds: boolean): Buffer {
    // A record has more bytes around its event than the frame around the copy of it.
    const target = Buffer.allocUnsafe(this.bytes);
    const runs = new RunReader(this.engine);
    let end = 0;
    for (const [at, event] of this.events.entries()) {
      const record = runs.record(this.events, at);
      const stored = recordedEventOf(record);
      const recorded = structuredIds ? withStructuredId(stored, eventIdOf(record)) : stored;
      end = putReadEvent(target, end, { recorded, position: this.engine.index.columns.position(event) });
    }
    return target.subarray(0, end);
  }
}

/** Reads neighbouring records with one access. */
class RunReader {
  private bytes: Buffer = Buffer.alloc(0);
  private start = 0;

  constructor(private readonly engine: StoreEngine) {}

  record(events: readonly number[], at: number): Buffer {
    const { columns } = this.engine.index;
    const event = events[at] as number;
    const position = columns.position(event);
    const length = columns.length(event);
    if (position < this.start || position + length > this.start + this.bytes.length) {
      this.start = position;
      this.bytes = this.engine.bytes(position, this.runLength(events, at));
    }
    return this.bytes.subarray(position - this.start, position - this.start + length);
  }

  private runLength(events: readonly number[], at: number): number {
    const { columns } = this.engine.index;
    const first = events[at] as number;
    let last = first;
    for (let next = at + 1; next < events.length && events[next] === last + 1; next += 1) last = events[next] as number;
    return columns.position(last) + columns.length(last) - columns.position(first);
  }
}
