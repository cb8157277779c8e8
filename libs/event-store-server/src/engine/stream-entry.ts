import type { ListPlace, NumberLists } from './number-lists';
import type { StreamLimits } from './stream-limits';

const NO_EVENT = -1;
const NO_ID = -1;

/** What is known of one stream: the numbers of its events, by revision. */
export class StreamEntry implements ListPlace {
  /** Streams are numbered in the order in which the log first names them: the same at every start. -1 = not written yet. */
  id = NO_ID;
  count = 0;
  /** Event that ended the stream for ever. */
  tombstone = NO_EVENT;
  /** From the newest event of its metastream. */
  limits: StreamLimits | undefined = undefined;
  at = 0;
  power = -1;

  constructor(
    readonly name: string,
    private readonly lists: NumberLists,
  ) {}

  /** -1 when it has no event. */
  get lastRevision(): number {
    return this.count - 1;
  }

  get isWritten(): boolean {
    return this.id !== NO_ID;
  }

  get isTombstoned(): boolean {
    return this.tombstone !== NO_EVENT;
  }

  /** A soft-deleted stream reads as missing and may be written again. */
  get isSoftDeleted(): boolean {
    return this.limits !== undefined && this.limits.truncateBefore === Number.POSITIVE_INFINITY;
  }

  push(event: number): void {
    this.lists.push(this, this.count, event);
    this.count += 1;
  }

  event(revision: number): number {
    return this.lists.get(this, revision);
  }

  /** Takes back events numbered `firstWithdrawn` and later. */
  withdraw(firstWithdrawn: number): void {
    while (this.count > 0 && this.event(this.count - 1) >= firstWithdrawn) this.count -= 1;
    if (this.tombstone >= firstWithdrawn) this.tombstone = NO_EVENT;
    if (this.count === 0 && !this.isTombstoned) this.id = NO_ID;
  }

  /** Number of events that readers may see: those before event number `visible`. */
  visibleCount(visible: number): number {
    let count = this.count;
    while (count > 0 && this.event(count - 1) >= visible) count -= 1;
    return count;
  }
}
