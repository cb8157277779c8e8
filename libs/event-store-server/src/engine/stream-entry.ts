import type { StreamLimits } from './stream-limits';

const FIRST_CAPACITY = 4;
const NO_EVENT = -1;

/** What is known of one stream: the numbers of its events, by revision. */
export class StreamEntry {
  private events = new Uint32Array(FIRST_CAPACITY);
  count = 0;
  /** Event that ended the stream for ever. */
  tombstone = NO_EVENT;
  /** From the newest event of its metastream. */
  limits: StreamLimits | undefined;

  constructor(
    readonly id: number,
    readonly name: string,
    readonly nameBytes: Buffer,
  ) {}

  /** -1 when it has no event. */
  get lastRevision(): number {
    return this.count - 1;
  }

  get isTombstoned(): boolean {
    return this.tombstone !== NO_EVENT;
  }

  /** A soft-deleted stream reads as missing and may be written again. */
  get isSoftDeleted(): boolean {
    return this.limits !== undefined && this.limits.truncateBefore === Number.POSITIVE_INFINITY;
  }

  push(event: number): void {
    if (this.count === this.events.length) {
      const grown = new Uint32Array(this.count * 2);
      grown.set(this.events);
      this.events = grown;
    }
    this.events[this.count++] = event;
  }

  event(revision: number): number {
    return this.events[revision] as number;
  }

  /** Takes back events numbered `firstWithdrawn` and later. */
  withdraw(firstWithdrawn: number): void {
    while (this.count > 0 && this.event(this.count - 1) >= firstWithdrawn) this.count -= 1;
    if (this.tombstone >= firstWithdrawn) this.tombstone = NO_EVENT;
  }

  /** Number of events that readers may see: those before event number `visible`. */
  visibleCount(visible: number): number {
    let count = this.count;
    while (count > 0 && this.event(count - 1) >= visible) count -= 1;
    return count;
  }
}
