import { createHash } from 'node:crypto';
import type { RawEventStore } from '@perdure/platform-event-store-esdb';
import { AppendLanes } from './append-lanes';
import { DigestBook } from './digest-book';
import { hidingBefore, isSoftDelete } from './metadata-text';
import { isMetastream, isOfServer, metastreamOf } from './system-streams';
import { RevisionsMissing, TargetStreamDeleted, TransferDamaged } from './transfer.errors';
import type { TransferEvent, TransferItem } from './transfer-format';

// Appends what another log holds, in its order.
//
// 1. The same transfer always leads to the same appends, with the same ids: it may be run again at any time.
// 2. Of the metadata of a stream only the newest is ever visible, so that metadata streams are numbered anew from 0.
// 3. A stream is soft-deleted only when its last event is there, and only if it still is at the end: a write to a
//    deleted stream would make the target write metadata of its own.

export interface ImportOptions {
  /** Stand-ins for revisions that the source no longer has. */
  readonly fill: boolean;
  /** What was imported is remembered as one digest a stream, for `verify`. */
  readonly digest: boolean;
}

export interface ImportReport {
  readonly events: number;
  readonly streams: number;
  readonly tombstones: number;
  readonly softDeleted: number;
  readonly filled: number;
}

export const FILLER_TYPE = '$filler';
const METADATA_TYPE = '$metadata';
const JSON_CONTENT = 'application/json';
const EMPTY = Buffer.alloc(0);
const ID_PARTS = /^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/;

export class LogImport {
  readonly digests = new DigestBook();
  private readonly lanes: AppendLanes;
  /** By stream: the revision that comes next in the target. */
  private readonly next = new Map<string, number>();
  private readonly tombstoned = new Set<string>();
  /** By metastream: the soft delete that has not been superseded so far. */
  private readonly softDeletes = new Map<string, TransferEvent>();
  /** By stream: the first revision that is not a stand-in. */
  private readonly filledUpTo = new Map<string, number>();
  private events = 0;
  private filled = 0;

  constructor(
    private readonly target: RawEventStore,
    private readonly options: ImportOptions,
  ) {
    this.lanes = new AppendLanes(target);
  }

  /** @throws RevisionsMissing, TargetDiffers, TargetStreamDeleted, EventRefused, StoreUnavailable */
  async run(items: AsyncIterable<TransferItem>): Promise<ImportReport> {
    try {
      for await (const item of items) await this.take(item);
      return await this.finish();
    } finally {
      this.lanes.stop();
    }
  }

  /** Undefined when the next item may come at once. */
  private take(item: TransferItem): Promise<void> | undefined {
    if (isOfServer(item.stream)) return undefined;
    if (item.kind === 'tombstone') return this.tombstone(item.stream);
    this.events += 1;
    return isMetastream(item.stream) ? this.takeMetadata(item) : this.takeEvent(item);
  }

  private async finish(): Promise<ImportReport> {
    for (const event of this.softDeletes.values()) await this.push(event);
    await this.lanes.allSettled();
    const strangers = [...this.lanes.deleted].filter((stream) => !this.tombstoned.has(describedBy(stream)));
    if (strangers.length > 0) throw new TargetStreamDeleted(strangers);
    return {
      events: this.events,
      streams: this.next.size,
      tombstones: this.tombstoned.size,
      softDeleted: this.softDeletes.size,
      filled: this.filled,
    };
  }

  /** Streams that have ended for ever in the source. */
  get ended(): ReadonlySet<string> {
    return this.tombstoned;
  }

  private takeEvent(event: TransferEvent): Promise<void> | undefined {
    const next = this.next.get(event.stream) ?? 0;
    if (event.revision === next) return this.push(event);
    if (event.revision < next) throw new TransferDamaged(this.events, `${event.stream} has revision ${event.revision} twice`);
    if (!this.options.fill) throw new RevisionsMissing([event.stream]);
    return this.fill(event);
  }

  private takeMetadata(event: TransferEvent): Promise<void> | undefined {
    const { stream } = event;
    this.softDeletes.delete(stream);
    if (!isSoftDelete(event.data)) return this.push(event);
    this.softDeletes.set(stream, event);
    return undefined;
  }

  private push(event: TransferEvent): Promise<void> | undefined {
    const { stream } = event;
    const revision = this.next.get(stream) ?? 0;
    this.next.set(stream, revision + 1);
    const placed = { ...event, revision, data: this.dataOf(event) };
    if (this.options.digest) this.digests.add(placed);
    return this.lanes.push(placed);
  }

  /** Metadata must not uncover stand-ins. */
  private dataOf({ stream, type, data }: TransferEvent): Buffer {
    const first = isMetastream(stream) && type === METADATA_TYPE ? this.filledUpTo.get(describedBy(stream)) : undefined;
    return first === undefined ? data : hidingBefore(data, first);
  }

  private async tombstone(stream: string): Promise<void> {
    this.tombstoned.add(stream);
    this.softDeletes.delete(metastreamOf(stream));
    await this.lanes.settled(stream);
    await this.lanes.settled(metastreamOf(stream));
    await this.target.tombstone(stream);
  }

  private async fill(event: TransferEvent): Promise<void> {
    const { stream, revision } = event;
    for (let at = this.next.get(stream) ?? 0; at < revision; at += 1) {
      const id = idOf(`${FILLER_TYPE} ${at} ${stream}`);
      const stand = { kind: 'event', revision: at, stream, id, type: FILLER_TYPE, contentType: JSON_CONTENT } as const;
      await this.push({ ...stand, data: Buffer.from('{}'), metadata: EMPTY });
      this.filled += 1;
    }
    await this.push(event);
    const metastream = metastreamOf(stream);
    await this.lanes.settled(metastream);
    const before = await this.target.lastEvent(metastream);
    this.filledUpTo.set(stream, revision);
    const described = { kind: 'event', revision: 0, stream: metastream, type: METADATA_TYPE, contentType: JSON_CONTENT } as const;
    const id = idOf(`${METADATA_TYPE} ${revision} ${stream}`);
    await this.push({ ...described, id, data: before?.data ?? Buffer.from('{}'), metadata: EMPTY });
  }
}

function describedBy(stream: string): string {
  return isMetastream(stream) ? stream.slice(metastreamOf('').length) : stream;
}

/** A UUID that is the same whenever this is imported. */
function idOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').replace(ID_PARTS, '$1-$2-8$3-8$4-$5');
}
