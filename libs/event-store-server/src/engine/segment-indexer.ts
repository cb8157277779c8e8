import { join } from 'node:path';
import type { FileSystem } from '../store/file-system';
import type { EventIndex } from './event-index';
import { RECENT_IDS_MAX } from './recent-ids';
import { type IndexedSegment, type SegmentPlace, type SegmentRows, decodeSegment, encodeSegment } from './segment-index';

interface LoadedSegment {
  readonly segment: IndexedSegment;
  readonly firstEvent: number;
}

interface OpenSegment {
  readonly base: number;
  readonly firstEvent: number;
  readonly streamsBefore: number;
  readonly typesBefore: number;
}

export interface SegmentIndexerOptions {
  readonly files: FileSystem;
  readonly folder: string;
  readonly index: EventIndex;
  idOf(event: number): Buffer;
}

/**
 * Writes down what the index knows of each segment that is closed, and reads it at the next start. One segment after the
 * other and in slices, so that appends do not wait; what could not be written is scanned at the next start.
 */
export class SegmentIndexer {
  private segment: OpenSegment = { base: 0, firstEvent: 0, streamsBefore: 0, typesBefore: 0 };
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

  /** The log is open: what was scanned may be written down. */
  start(): void {
    for (const { segment, firstEvent } of this.loaded) this.options.index.rememberIds(segment, firstEvent);
    this.loaded.length = 0;
    this.begun();
  }

  /** The log goes on in a segment that begins at `base`. */
  begin(base: number): void {
    const { columns, streamCount, typeCount } = this.options.index;
    this.segment = { base, firstEvent: columns.count, streamsBefore: streamCount, typesBefore: typeCount };
  }

  /** @returns false when the segment has to be scanned */
  load(bytes: number): boolean {
    const { base, streamsBefore, typesBefore } = this.segment;
    const place: SegmentPlace = { base, bytes, streamsBefore, typesBefore };
    const stored = this.options.files.readBytes(this.path(base));
    const segment = stored === undefined ? undefined : decodeSegment(stored, place);
    if (segment === undefined) return false;
    const firstEvent = this.options.index.addSegment(segment, base);
    this.keepIds({ segment, firstEvent });
    return true;
  }

  /** The segment ends at `end`, and all before it is durable; the next one begins there. */
  close(end: number): void {
    const { index } = this.options;
    const { base, firstEvent, streamsBefore, typesBefore } = this.segment;
    const endEvent = index.columns.firstAtOrAfter(end);
    const named = namedIn(index, { firstEvent, endEvent, streamsBefore, typesBefore });
    const rows: SegmentRows = {
      base,
      bytes: end - base,
      streamsBefore,
      typesBefore,
      first: firstEvent,
      end: endEvent,
      ...named,
    };
    this.segment = {
      base: end,
      firstEvent: endEvent,
      streamsBefore: named.streamsAfter,
      typesBefore: named.typesAfter,
    };
    this.working = this.working.then(() => this.write(rows));
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

  /** They are remembered when all segments are read: of ten million ids only the last ones would stay. */
  private keepIds(loaded: LoadedSegment): void {
    this.loaded.push(loaded);
    this.loadedIds += loaded.segment.ids.length;
    for (let [oldest] = this.loaded; oldest !== undefined; [oldest] = this.loaded) {
      if (this.loadedIds - oldest.segment.ids.length < RECENT_IDS_MAX) return;
      this.loadedIds -= oldest.segment.ids.length;
      this.loaded.shift();
    }
  }

  private async write(rows: SegmentRows): Promise<void> {
    const { files, index, idOf } = this.options;
    try {
      const encoding = encodeSegment(index, rows, idOf);
      for (;;) {
        if (this.isStopped) return;
        const step = encoding.next();
        if (step.done === true) {
          await files.writeBytesDurably(this.path(rows.base), step.value);
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

/** The index runs ahead of the disk: what rows after the end have named does not count. */
function namedIn(
  index: EventIndex,
  rows: {
    readonly firstEvent: number;
    readonly endEvent: number;
    readonly streamsBefore: number;
    readonly typesBefore: number;
  },
): { readonly streamsAfter: number; readonly typesAfter: number } {
  let streamsAfter = rows.streamsBefore;
  let typesAfter = rows.typesBefore;
  for (let event = rows.firstEvent; event < rows.endEvent; event += 1) {
    streamsAfter = Math.max(streamsAfter, index.columns.stream(event) + 1);
    typesAfter = Math.max(typesAfter, index.columns.type(event) + 1);
  }
  return { streamsAfter, typesAfter };
}
