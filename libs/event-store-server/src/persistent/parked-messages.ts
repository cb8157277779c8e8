import { LINK_TYPE } from '../engine/links';
import type { StoreEngine } from '../engine/store-engine';
import type { StreamEntry } from '../engine/stream-entry';
import { visibleRange } from '../engine/visible-range';
import { bucketOfEvent, unlessDamaged } from './event-content';
import { parkedStream } from './group-names';
import type { GroupEntry } from './group-settings';
import type { Message } from './message';
import { dataText, json, writeMetadata, writeState } from './state-streams';

export interface ParkedEvent {
  readonly event: number;
  readonly reason: string;
}

/**
 * The parked stream of a group: links to events that no consumer could do anything with. What is replayed stays in it until
 * it is settled, so that a restart in between loses none; only then the stream begins later.
 */
export class ParkedMessages {
  private readonly stream: string;
  /** Parked ones before this revision were taken to be replayed. */
  private taken: number;
  private replayEnd = 0;
  /** Taken, in ascending order, and not settled. */
  private readonly unsettled = new Set<number>();
  private isTruncating = false;

  constructor(
    private readonly engine: StoreEngine,
    private readonly entry: GroupEntry,
  ) {
    this.stream = parkedStream(entry);
    this.taken = this.range().first;
  }

  get count(): number {
    return Math.max(0, this.range().end - this.taken);
  }

  park({ event, reason }: ParkedEvent, settled: (isParked: boolean) => void): void {
    const { engine, entry } = this;
    const stream = engine.index.streamOf(event);
    const revision = stream.revisionOf(event);
    // A link is parked as what it links to: one that could not be read has at least its place.
    const isLink = entry.settings.resolveLinks || stream.name === this.stream ? engine.index.typeOf(event) === LINK_TYPE : false;
    const text = isLink ? unlessDamaged(() => dataText(engine.record(event))) : `${revision}@${stream.name}`;
    const link = typeof text === 'string' ? text : `${revision}@${stream.name}`;
    const added = new Date(engine.nowMs()).toISOString();
    const parked = {
      stream: this.stream,
      type: LINK_TYPE,
      contentType: 'application/octet-stream',
      data: Buffer.from(link, 'utf8'),
      metadata: json({ added, reason, subscriptionEventNumber: revision }),
    };
    writeState(engine, parked, (failure) => settled(failure === undefined));
  }

  /** @returns false when there is nothing to replay */
  beginReplay(stopAt: number | undefined): boolean {
    this.replayEnd = Math.min(stopAt ?? Number.POSITIVE_INFINITY, this.range().end);
    return this.taken < this.replayEnd;
  }

  take(limit: number): readonly Message[] {
    const { first, end } = this.range();
    const messages: Message[] = [];
    this.taken = Math.max(this.taken, first);
    const stop = Math.min(this.replayEnd, end, this.taken + limit);
    const stream = this.find();
    for (; stream !== undefined && this.taken < stop; this.taken += 1) {
      const place = this.taken;
      const bucket = bucketOfEvent(this.engine, stream.event(place), { ...this.entry.settings, resolveLinks: true });
      messages.push({ place, before: place - 1, ordinal: place, isReplayed: true, bucket });
      this.unsettled.add(place);
    }
    return messages;
  }

  eventAt(revision: number): number | undefined {
    const { first, end } = this.range();
    return revision >= first && revision < end ? this.find()?.event(revision) : undefined;
  }

  settle(revision: number): void {
    this.unsettled.delete(revision);
  }

  /** Takes out of the stream what was replayed and settled. */
  truncate(): void {
    const [lowest = this.taken] = this.unsettled;
    if (this.isTruncating || lowest <= this.range().first) return;
    this.isTruncating = true;
    writeMetadata(this.engine, { stream: this.stream, metadata: { $tb: lowest } }, () => {
      this.isTruncating = false;
    });
  }

  private range(): { readonly first: number; readonly end: number } {
    const stream = this.find();
    return stream === undefined ? { first: 0, end: 0 } : visibleRange(this.engine, stream);
  }

  private find(): StreamEntry | undefined {
    const stream = this.engine.index.find(this.stream);
    return stream?.isTombstoned === true ? undefined : stream;
  }
}
