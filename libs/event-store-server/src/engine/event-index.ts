import { describedStream } from './stream-limits';
import { EventColumns } from './columns';
import { RecentIds } from './recent-ids';
import { StreamEntry } from './stream-entry';

export interface IndexedEvent {
  readonly stream: StreamEntry;
  readonly type: string;
  readonly id: Buffer;
  readonly position: number;
  readonly length: number;
  readonly isTombstone: boolean;
}

/** Where every event is. It runs ahead of the disk: rows from `visible` on are not durable yet. */
export class EventIndex {
  readonly columns = new EventColumns();
  readonly recentIds = new RecentIds();
  private readonly byName = new Map<string, StreamEntry>();
  private readonly streams: StreamEntry[] = [];
  private readonly typeIds = new Map<string, number>();
  private readonly types: string[] = [];
  /** Events before this number are durable. */
  visible = 0;

  find(name: string): StreamEntry | undefined {
    return this.byName.get(name);
  }

  /** The entry of a stream that is about to be written. */
  enter(name: string): StreamEntry {
    const known = this.byName.get(name);
    if (known !== undefined) return known;
    const entry = new StreamEntry(this.streams.length, name, Buffer.from(name, 'utf8'));
    this.streams.push(entry);
    this.byName.set(name, entry);
    return entry;
  }

  add({ stream, type, id, position, length, isTombstone }: IndexedEvent): number {
    const event = this.columns.push({ position, length, stream: stream.id, type: this.typeId(type) });
    if (isTombstone) stream.tombstone = event;
    else stream.push(event);
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
    this.recentIds.withdraw(first);
    return [...touched].filter((stream) => describedStream(stream.name) !== undefined);
  }

  streamOf(event: number): StreamEntry {
    return this.streams[this.columns.stream(event)] as StreamEntry;
  }

  typeOf(event: number): string {
    return this.types[this.columns.type(event)] as string;
  }

  get typeCount(): number {
    return this.types.length;
  }

  *metastreams(): Iterable<StreamEntry> {
    for (const stream of this.streams) if (describedStream(stream.name) !== undefined) yield stream;
  }

  private typeId(type: string): number {
    const known = this.typeIds.get(type);
    if (known !== undefined) return known;
    this.typeIds.set(type, this.types.length);
    this.types.push(type);
    return this.types.length - 1;
  }
}
