import type { ListPlace, NumberLists } from './number-lists';
import type { StreamLimits } from './stream-limits';

const NO_EVENT = -1;
const NO_ID = -1;

/** What is known of one stream: the numbers of its events, by revision. */
export class StreamEntry implements ListPlace {
  /** Streams are numbered in the order in which the log first names them: the same at every start. -1 = not written yet. */
  id = NO_ID;
  /** Events in the list. */
  private count = 0;
  /** Revision of the first event in the list. */
  private listStart = 0;
  /** Events of lower revisions were taken away by a scavenge. */
  firstRevision = 0;
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
    return this.listStart + this.count - 1;
  }

  /** Nothing is left of it, or it never had an event. */
  get isEmpty(): boolean {
    return this.count === 0;
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

  /** The event that follows; the first one may have any revision: those before it were scavenged. */
  push(event: number, revision: number): void {
    if (this.count === 0) {
      this.listStart = revision;
      this.firstRevision = revision;
    } else if (revision !== this.lastRevision + 1) {
      throw new RangeError(`${this.name} has revision ${revision} after ${this.lastRevision}`);
    }
    this.lists.push(this, this.count, event);
    this.count += 1;
  }

  event(revision: number): number {
    return this.lists.get(this, revision - this.listStart);
  }

  /** Revision of an event of this stream that is in the list. */
  revisionOf(event: number): number {
    let low = this.firstRevision;
    let high = this.lastRevision;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (this.event(middle) < event) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The events before `revision` are gone. */
  dropBefore(revision: number): void {
    this.firstRevision = revision;
  }

  /** Takes back events numbered `firstWithdrawn` and later. */
  withdraw(firstWithdrawn: number): void {
    while (this.count > 0 && this.event(this.lastRevision) >= firstWithdrawn) this.count -= 1;
    if (this.tombstone >= firstWithdrawn) this.tombstone = NO_EVENT;
    if (this.count > 0 || this.isTombstoned) return;
    this.id = NO_ID;
    this.listStart = 0;
    this.firstRevision = 0;
  }

  /** Revision after the last one that readers may see: those before event number `visible`. */
  visibleEnd(visible: number): number {
    let end = this.lastRevision + 1;
    while (end > this.firstRevision && this.event(end - 1) >= visible) end -= 1;
    return end;
  }
}
