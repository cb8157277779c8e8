import type { RecordWalk } from '../store/gaps';
import { ID_BYTES } from '../wire/event-id';
import { describedStream } from './stream-limits';
import { EventColumns } from './columns';
import { RecentIds } from './recent-ids';
import { NumberLists } from './number-lists';
import type { IndexedSegment } from './segment-index';
import { StreamEntry } from './stream-entry';

export interface IndexedEvent {
  readonly stream: StreamEntry;
  readonly type: string;
  readonly id: Buffer;
  readonly revision: number;
  readonly position: number;
  readonly length: number;
  readonly isTombstone: boolean;
}

/** Where every event is. It runs ahead of the disk: rows from `visible` on are not durable yet. */
export class EventIndex {
  readonly columns = new EventColumns();
  readonly recentIds = new RecentIds();
  private readonly byName = new Map<string, StreamEntry>();
  private readonly lists = new NumberLists();
  /** By id. */
  private readonly streams: StreamEntry[] = [];
  private readonly typeIds = new Map<string, number>();
  private readonly types: string[] = [];
  /** By type: the event that first had it. */
  private readonly typeFirstEvents: number[] = [];
  /** Events before this number are durable. */
  visible = 0;

  find(name: string): StreamEntry | undefined {
    return this.byName.get(name);
  }

  /** The entry of a stream that is about to be written. */
  enter(name: string): StreamEntry {
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    const entry = new StreamEntry(name, this.lists);
    this.byName.set(name, entry);
    return entry;
  }

  /** Forgets a stream that was entered and came to nothing: names that are only asked for must not fill the memory. */
  leave(entry: StreamEntry): void {
    if (!entry.isWritten && entry.limits === undefined) this.byName.delete(entry.name);
  }

  add({ stream, type, id, revision, position, length, isTombstone }: IndexedEvent): number {
    if (!stream.isWritten) stream.id = this.streams.push(stream) - 1;
    const event = this.columns.push({ position, length, stream: stream.id, type: this.typeId(type) });
    if (isTombstone) stream.tombstone = event;
    else stream.push(event, revision);
    this.recentIds.remember(id, stream.id, event);
    return event;
  }

  showUpTo(position: number): void {
    const { columns } = this;
    while (this.visible < columns.count && columns.position(this.visible) < position) this.visible += 1;
  }

  /**
   * Takes back the events at and after `position`.
   * @returns the streams whose metadata must be read again
   */
  withdraw(position: number): readonly StreamEntry[] {
    const first = this.columns.firstAtOrAfter(position);
    const touched = new Set<StreamEntry>();
    for (let event = first; event < this.columns.count; event += 1) touched.add(this.streamOf(event));
    for (const stream of touched) stream.withdraw(first);
    this.columns.truncate(first);
    while ((this.typeFirstEvents[this.types.length - 1] ?? -1) >= first) {
      this.typeIds.delete(this.types.pop() as string);
      this.typeFirstEvents.pop();
    }
    while (this.streams[this.streams.length - 1]?.isWritten === false) this.streams.pop();
    this.recentIds.withdraw(first);
    return [...touched].filter((stream) => describedStream(stream.name) !== undefined);
  }

  streamOf(event: number): StreamEntry {
    return this.streams[this.columns.stream(event)] as StreamEntry;
  }

  typeOf(event: number): string {
    return this.types[this.columns.type(event)] as string;
  }

  get streamCount(): number {
    return this.streams.length;
  }

  get typeCount(): number {
    return this.types.length;
  }

  streamNumbered(id: number): StreamEntry {
    return this.streams[id] as StreamEntry;
  }

  typeNumbered(id: number): string {
    return this.types[id] as string;
  }

  /** The event of a stream that lately carried this id; undefined when it is not known, or gone. */
  recentEvent(id: Buffer, stream: StreamEntry): number | undefined {
    const event = this.recentIds.find(id, stream.id);
    return event === undefined || this.columns.isRemoved(event) ? undefined : event;
  }

  /** Takes away an event that was scavenged. Of a stream they go one after the other, the oldest first. */
  remove(event: number): void {
    const stream = this.streamOf(event);
    if (stream.tombstone !== event) stream.dropBefore(stream.revisionOf(event) + 1);
    this.columns.remove(event);
  }

  /**
   * Adds what a segment holds, as it was written down when the segment was closed.
   * @returns the number of its first event
   */
  addSegment(segment: IndexedSegment, walk: RecordWalk): number {
    for (const name of segment.newStreams) {
      const entry = this.enter(name);
      entry.id = this.streams.push(entry) - 1;
    }
    for (const type of segment.newTypes) this.typeId(type);
    const { lengths, streams, revisions, tombstones } = segment;
    const firstEvent = this.columns.pushAll(segment, walk);
    for (let row = 0; row < lengths.length; row += 1) {
      const stream = this.streams[streams[row] as number] as StreamEntry;
      if (tombstones.size > 0 && tombstones.has(row)) stream.tombstone = firstEvent + row;
      else stream.push(firstEvent + row, revisions[row] as number);
    }
    return firstEvent;
  }

  /** The ids of the last records of a segment whose first event is `firstEvent`. */
  rememberIds({ ids, streams }: IndexedSegment, firstEvent: number): void {
    const count = ids.length / ID_BYTES;
    for (let row = streams.length - count, at = 0; row < streams.length; row += 1, at += ID_BYTES) {
      this.recentIds.remember(ids.subarray(at, at + ID_BYTES), streams[row] as number, firstEvent + row);
    }
  }

  /** All streams that have, or had, an event. */
  writtenStreams(): Iterable<StreamEntry> {
    return this.streams;
  }

  *metastreams(): Iterable<StreamEntry> {
    for (const stream of this.streams) if (describedStream(stream.name) !== undefined) yield stream;
  }

  private typeId(type: string): number {
    const known = this.typeIds.get(type);
    if (known !== undefined) return known;
    this.typeIds.set(type, this.types.length);
    this.types.push(type);
    this.typeFirstEvents.push(this.columns.count);
    return this.types.length - 1;
  }
}
