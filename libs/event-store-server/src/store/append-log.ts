import { EventStoreServerError, StorageFull, StoreOverloaded, errorCodeOf } from '../errors';
import type { FileSystem } from './file-system';
import { checkRecords } from './record';
import { type LogReader, recoverLog } from './recovery';
import type { ScavengedRange } from './scavenged-file';
import { Segments } from './segments';

// The log: appended in groups, read by position.
//
// 1. A group is all that was appended while the group before it was being written. One group at a time.
// 2. Nothing is acknowledged before the sync of its group, and no reader sees it before.
// 3. After a failed write everything not yet durable is withdrawn; after a failed sync the log is dead,
//    because what the disk then holds is unknown.
// 4. Positions are contiguous: bytes of the newest slabs are the bytes of the log at those positions.

const SLAB_BYTES = 1024 * 1024;
const SLABS_KEPT = 4;
const UNWRITTEN_BYTES_MAX = 64 * 1024 * 1024;
export const SEGMENT_BYTES_DEFAULT = 64 * 1024 * 1024;

interface Slab {
  readonly base: number;
  readonly bytes: Buffer;
  used: number;
}

interface Group {
  readonly start: number;
  readonly waiting: ((failure?: Error) => void)[];
}

export interface LogListener {
  /** All before `end` is durable: readers may see it. Runs before the acknowledgements. */
  onDurable(end: number): void;
  /** The acknowledgements are out. */
  onSettled(): void;
  /** What was appended at or after `end` is withdrawn. Runs before the refusals. */
  onWithdrawn(end: number): void;
  /** The file before `end` is closed, and all in it durable. */
  onClosed(end: number): void;
  /** The log is dead. */
  onFailed(error: EventStoreServerError): void;
}

/** Who counts what the log does. */
export interface LogObserver {
  /** A group is written and synced. */
  onSynced(bytes: number, millis: number): void;
  /** A group found no room. */
  onDiskFull(): void;
}

export interface LogOptions {
  readonly files: FileSystem;
  readonly folder: string;
  readonly segmentBytes?: number;
  readonly observer?: LogObserver;
}

export class AppendLog {
  private readonly segmentBytes: number;
  private slabs: Slab[] = [];
  private listener: LogListener | undefined;
  /** Position of the next record. */
  private end = 0;
  private durableEnd = 0;
  private filling: Group = { start: 0, waiting: [] };
  private isFlushing = false;
  private idle: (() => void)[] = [];
  private flushWaiting: Group['waiting'] | undefined;
  private isScheduled = false;
  private failure: EventStoreServerError | undefined;

  private constructor(
    private readonly segments: Segments,
    private readonly options: LogOptions,
  ) {
    this.segmentBytes = options.segmentBytes ?? SEGMENT_BYTES_DEFAULT;
  }

  static async open(options: LogOptions, reader: LogReader): Promise<AppendLog> {
    const segments = Segments.open(options.files, options.folder);
    const log = new AppendLog(segments, options);
    try {
      log.end = await recoverLog(segments, reader);
    } catch (error) {
      segments.close();
      throw error;
    }
    log.durableEnd = log.end;
    log.filling = { start: log.end, waiting: [] };
    return log;
  }

  listen(listener: LogListener): void {
    this.listener = listener;
  }

  get endPosition(): number {
    return this.end;
  }

  get groupStart(): number {
    return this.filling.start;
  }

  /** @throws StoreOverloaded, or the error that ended the log, before anything is changed */
  checkAccepts(): void {
    if (this.failure !== undefined) throw this.failure;
    if (this.end - this.durableEnd > UNWRITTEN_BYTES_MAX) throw new StoreOverloaded();
  }

  /** Room for one record at `endPosition`; the caller fills all of it before anything else happens. */
  reserve(size: number): { readonly bytes: Buffer; readonly at: number } {
    let slab = this.slabs[this.slabs.length - 1];
    if (slab === undefined || slab.bytes.length - slab.used < size) {
      slab = { base: this.end, bytes: Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, size)), used: 0 };
      this.slabs.push(slab);
      this.dropOldSlabs();
    }
    const at = slab.used;
    slab.used += size;
    this.end += size;
    this.schedule();
    return { bytes: slab.bytes, at };
  }

  /** Runs when everything appended so far is durable, or with the failure that withdrew it. */
  whenDurable(settled: (failure?: Error) => void): void {
    if (this.end > this.filling.start) this.filling.waiting.push(settled);
    else if (this.flushWaiting !== undefined) this.flushWaiting.push(settled);
    else settled();
  }

  /**
   * Whole records: a view that is valid until the caller returns to the event loop.
   * @throws EventDamaged when the disk gives back other bytes than were written
   */
  read(position: number, length: number): Buffer {
    for (let index = this.slabs.length - 1; index >= 0; index -= 1) {
      const slab = this.slabs[index] as Slab;
      if (position < slab.base) continue;
      const at = position - slab.base;
      if (at + length <= slab.used) return slab.bytes.subarray(at, at + length);
      break;
    }
    const target = Buffer.allocUnsafe(length);
    this.segments.read(target, position);
    checkRecords(target, position);
    return target;
  }

  /**
   * Puts a scavenged file in the place of the closed segments of its range.
   * @throws EventStoreServerError `SyncFailed` when it is not known which of them a restart would find: the log is dead
   */
  replace(path: string, range: ScavengedRange): void {
    try {
      this.segments.replace(path, range);
    } catch (error) {
      this.failure = syncFailed(error);
      this.listener?.onFailed(this.failure);
      throw this.failure;
    }
  }

  async close(): Promise<void> {
    if (this.isFlushing || this.isScheduled) await new Promise<void>((resolve) => this.idle.push(resolve));
    this.failure ??= new EventStoreServerError('SyncFailed', 'The event store is closed.');
    this.segments.close();
  }

  private schedule(): void {
    if (this.isScheduled || this.isFlushing || this.failure !== undefined) return;
    this.isScheduled = true;
    // Not at once: what arrived in the same turn of the event loop joins the group.
    setImmediate(() => {
      this.isScheduled = false;
      this.isFlushing = true;
      void this.flushAll().then(() => {
        for (const resolve of this.idle.splice(0)) resolve();
      });
    });
  }

  private async flushAll(): Promise<void> {
    while (this.end > this.filling.start && this.failure === undefined) await this.flushGroup();
    // In the same turn as the last look: an append after it must find that it has to schedule.
    this.isFlushing = false;
  }

  private async flushGroup(): Promise<void> {
    const group = this.filling;
    this.filling = { start: this.end, waiting: [] };
    this.flushWaiting = group.waiting;
    const startedAtMs = performance.now();
    try {
      await this.rollSegment(group.start);
      this.writeRange(group.start, this.filling.start);
    } catch (error) {
      this.withdraw(group, error);
      return;
    }
    try {
      const { file } = this.segments.last;
      // Nobody else waits for this process then, and a thread costs as much as the disk.
      if (group.waiting.length === 1 && file.syncNow !== undefined) file.syncNow();
      else await file.sync();
    } catch (error) {
      this.die(group, error);
      return;
    }
    this.options.observer?.onSynced(this.filling.start - group.start, performance.now() - startedAtMs);
    this.settle(group);
  }

  private settle(group: Group): void {
    this.durableEnd = this.filling.start;
    this.flushWaiting = undefined;
    this.listener?.onDurable(this.durableEnd);
    for (const settled of group.waiting) settled();
    this.listener?.onSettled();
    this.dropOldSlabs();
  }

  private async rollSegment(start: number): Promise<void> {
    const { base, file } = this.segments.last;
    if (start - base < this.segmentBytes) return;
    await file.sync();
    this.segments.create(start);
    this.listener?.onClosed(start);
  }

  private writeRange(from: number, to: number): void {
    const { base, file } = this.segments.last;
    for (const slab of this.slabs) {
      const start = Math.max(from, slab.base);
      const stop = Math.min(to, slab.base + slab.used);
      if (start < stop) file.write(slab.bytes.subarray(start - slab.base, stop - slab.base), start - base);
    }
  }

  /** Everything after the durable end goes, also what was appended meanwhile: it was decided on top of it. */
  private withdraw(group: Group, error: unknown): void {
    const { base, file } = this.segments.last;
    const end = group.start;
    try {
      file.truncate(end - base);
    } catch (truncateError) {
      this.die(group, truncateError);
      return;
    }
    const isFull = errorCodeOf(error) === 'ENOSPC' || errorCodeOf(error) === 'EDQUOT';
    if (!isFull) {
      this.die(group, error);
      return;
    }
    this.options.observer?.onDiskFull();
    const refused = [...group.waiting, ...this.filling.waiting];
    this.forgetFrom(end);
    this.listener?.onWithdrawn(end);
    for (const settled of refused) settled(new StorageFull(error));
  }

  private forgetFrom(end: number): void {
    this.end = end;
    this.filling = { start: end, waiting: [] };
    this.flushWaiting = undefined;
    this.slabs = this.slabs.filter((slab) => slab.base < end);
    for (const slab of this.slabs) slab.used = Math.min(slab.used, end - slab.base);
  }

  private die(group: Group, error: unknown): void {
    const failure = syncFailed(error);
    this.failure = failure;
    const refused = [...group.waiting, ...this.filling.waiting];
    this.forgetFrom(group.start);
    for (const settled of refused) settled(failure);
    this.listener?.onFailed(failure);
  }

  private dropOldSlabs(): void {
    while (this.slabs.length > SLABS_KEPT) {
      const [oldest] = this.slabs;
      if (oldest === undefined || oldest.base + oldest.used > this.durableEnd) return;
      this.slabs.shift();
    }
  }
}

function syncFailed(error: unknown): EventStoreServerError {
  return new EventStoreServerError(
    'SyncFailed',
    `The disk did not confirm a write (${errorCodeOf(error) ?? String(error)}): the event store stops, because what is stored is unknown. Check the disk, then start again.`,
    error,
  );
}
