import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { FileSystem } from '../store/file-system';
import { RecordWalk } from '../store/gaps';
import type { Segment } from '../store/segments';
import { ID_BYTES } from '../wire/event-id';
import type { EventIndex } from './event-index';
import { RECENT_IDS_MAX } from './recent-ids';
import { DIGEST_BYTES, type IndexedSegment, type SegmentRows, decodeSegment, encodeSegment } from './segment-index';

/** A part of the log that nothing is added to any more, and what the index has of it. */
export interface ClosedSegment extends SegmentRows {
  readonly base: number;
  readonly end: number;
  readonly namesBefore: Buffer;
}

type OpenSegment = Pick<ClosedSegment, 'base' | 'firstEvent' | 'streamsBefore' | 'typesBefore' | 'namesBefore'>;

interface LoadedSegment {
  readonly segment: IndexedSegment;
  readonly firstEvent: number;
}

export interface SegmentIndexerOptions {
  readonly files: FileSystem;
  readonly folder: string;
  readonly index: EventIndex;
  idOf(event: number): Buffer;
}

const NO_NAMES = Buffer.alloc(DIGEST_BYTES);

/**
 * Writes down what the index knows of each segment that is closed, and reads it at the next start. One segment after the
 * other and in slices, so that appends do not wait; what could not be written is scanned at the next start.
 */
export class SegmentIndexer {
  private readonly closedSegments: ClosedSegment[] = [];
  private segment: OpenSegment = { base: 0, firstEvent: 0, streamsBefore: 0, typesBefore: 0, namesBefore: NO_NAMES };
  /** Begins when the log can be read. */
  private working: Promise<void>;
  private begun!: () => void;
  private isStopped = false;
  /** The newest ones that were read: more ids than theirs are not kept anyway. */
  private readonly loaded: LoadedSegment[] = [];
  private loadedIds = 0;

  constructor(private readonly options: SegmentIndexerOptions) {
    this.working = new Promise((resolve) => (this.begun = resolve));
  }

  get closed(): readonly ClosedSegment[] {
    return this.closedSegments;
  }

  /** The log is open: what was scanned may be written down. */
  start(): void {
    for (const { segment, firstEvent } of this.loaded) this.options.index.rememberIds(segment, firstEvent);
    this.loaded.length = 0;
    this.begun();
  }

  /** The log goes on in a segment that begins at `base`. */
  begin(base: number): void {
    const { columns, streamCount, typeCount } = this.options.index;
    const { namesAfter = NO_NAMES } = this.closedSegments[this.closedSegments.length - 1] ?? {};
    this.segment = {
      base,
      firstEvent: columns.count,
      streamsBefore: streamCount,
      typesBefore: typeCount,
      namesBefore: namesAfter,
    };
  }

  /** @returns false when the segment has to be scanned */
  load({ base, end = base, file, gaps }: Segment): boolean {
    const { index, files } = this.options;
    const stored = files.readBytes(this.path(base));
    if (stored === undefined) return false;
    const segment = decodeSegment(stored, { base, end, bytes: file.size(), namesBefore: this.segment.namesBefore });
    if (segment === undefined) return false;
    const firstEvent = index.addSegment(segment, new RecordWalk(gaps, base));
    this.keepIds({ segment, firstEvent });
    this.closedSegments.push({
      ...this.segment,
      end,
      endEvent: index.columns.count,
      streamsAfter: index.streamCount,
      typesAfter: index.typeCount,
      namesAfter: segment.namesAfter,
    });
    return true;
  }

  /** The segment ends at `end`, and all before it is durable; the next one begins there. */
  close(end: number, bytes = end - this.segment.base): void {
    const closed = this.closedAt(end);
    this.closedSegments.push(closed);
    this.segment = {
      base: end,
      firstEvent: closed.endEvent,
      streamsBefore: closed.streamsAfter,
      typesBefore: closed.typesAfter,
      namesBefore: closed.namesAfter,
    };
    this.working = this.working.then(() => this.write(closed, bytes));
  }

  /** One file of so many bytes took the place of these segments, which are neighbours. */
  replace(segments: readonly ClosedSegment[], bytes: number): void {
    const first = segments[0] as ClosedSegment;
    const { end, endEvent, streamsAfter, typesAfter, namesAfter } = segments[segments.length - 1] as ClosedSegment;
    const merged: ClosedSegment = { ...first, end, endEvent, streamsAfter, typesAfter, namesAfter };
    this.closedSegments.splice(this.closedSegments.indexOf(first), segments.length, merged);
    this.working = this.working.then(() => this.write(merged, bytes));
  }

  /** Resolves when all that was closed is written down, or given up. */
  get settled(): Promise<void> {
    return this.working;
  }

  /** Resolves when nothing is being written any more. */
  stop(): Promise<void> {
    this.isStopped = true;
    return this.working;
  }

  /** The index runs ahead of the disk: what rows after the end have named does not count. */
  private closedAt(end: number): ClosedSegment {
    const { index } = this.options;
    const { segment } = this;
    const endEvent = index.columns.firstAtOrAfter(end);
    let streamsAfter = segment.streamsBefore;
    let typesAfter = segment.typesBefore;
    for (let event = segment.firstEvent; event < endEvent; event += 1) {
      streamsAfter = Math.max(streamsAfter, index.columns.stream(event) + 1);
      typesAfter = Math.max(typesAfter, index.columns.type(event) + 1);
    }
    const rows = { ...segment, end, endEvent, streamsAfter, typesAfter };
    return { ...rows, namesAfter: namesAfter(index, rows) };
  }

  /** They are remembered when all segments are read: of ten million ids only the last ones would stay. */
  private keepIds(loaded: LoadedSegment): void {
    this.loaded.push(loaded);
    this.loadedIds += loaded.segment.ids.length / ID_BYTES;
    for (let [oldest] = this.loaded; oldest !== undefined; [oldest] = this.loaded) {
      const ids = oldest.segment.ids.length / ID_BYTES;
      if (this.loadedIds - ids < RECENT_IDS_MAX) return;
      this.loadedIds -= ids;
      this.loaded.shift();
    }
  }

  private async write(segment: ClosedSegment, bytes: number): Promise<void> {
    const { files, index, idOf } = this.options;
    try {
      const encoding = encodeSegment({ index, place: { ...segment, bytes }, rows: segment, idOf });
      for (;;) {
        if (this.isStopped) return;
        const step = encoding.next();
        if (step.done === true) {
          await files.writeBytesDurably(this.path(segment.base), step.value);
          return;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch {
      // A full disk, a damaged record: the next start scans this segment.
    }
  }

  private path(base: number): string {
    return join(this.options.folder, `${String(base).padStart(20, '0')}.idx`);
  }
}

function namesAfter(index: EventIndex, rows: Omit<SegmentRows, 'namesAfter'> & { readonly namesBefore: Buffer }): Buffer {
  const streams: string[] = [];
  for (let stream = rows.streamsBefore; stream < rows.streamsAfter; stream += 1) streams.push(index.streamNumbered(stream).name);
  const types: string[] = [];
  for (let type = rows.typesBefore; type < rows.typesAfter; type += 1) types.push(index.typeNumbered(type));
  const hash = createHash('sha256').update(rows.namesBefore);
  hash.update(streams.join('\0')).update('\0\0').update(types.join('\0'));
  return hash.digest().subarray(0, DIGEST_BYTES);
}
