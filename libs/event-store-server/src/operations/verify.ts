import { recordedAtMsOf, streamNameOf } from '../store/record';
import { isFolderInUse } from '../store/data-folder';
import { type BadRange, type ScannedRecord, scanLog } from './scan-log';

/** What is in a data folder. Times are milliseconds since the epoch. */
export interface StoreInfo {
  readonly folder: string;
  readonly formatVersion: number;
  readonly segments: number;
  readonly bytes: number;
  readonly events: number;
  readonly streams: number;
  readonly firstAtMs: number | undefined;
  readonly lastAtMs: number | undefined;
  /** A server holds the folder. */
  readonly inUse: boolean;
}

/** What does not hold in a log: bytes that are no record, or revisions that do not follow each other. */
export type Fault =
  | { readonly kind: 'damaged'; readonly from: number; readonly to: number }
  | {
      readonly kind: 'gap';
      readonly position: number;
      readonly stream: string;
      readonly expected: number;
      readonly found: number;
    };

export interface VerifyReport extends StoreInfo {
  readonly faults: readonly Fault[];
  /** There were more than are listed. */
  readonly faultsOmitted: number;
  /** Of a write that was never acknowledged; cut off at the next start. */
  readonly unfinishedTailBytes: number;
}

const FAULTS_LISTED_MAX = 1_000;

/**
 * Reads every record: length, checksum, position, the order of revisions in each stream, complete appends.
 * @throws EventStoreServerError when the folder holds no log, or one of another version
 */
export async function verifyStore(folder: string): Promise<VerifyReport> {
  const audit = new LogAudit();
  const scanned = scanLog(folder, audit);
  const inUse = await isFolderInUse(folder);
  return { folder, ...scanned, ...audit.report(), inUse };
}

export async function storeInfo(folder: string): Promise<StoreInfo> {
  const {
    folder: where,
    formatVersion,
    segments,
    bytes,
    events,
    streams,
    firstAtMs,
    lastAtMs,
    inUse,
  } = await verifyStore(folder);
  return { folder: where, formatVersion, segments, bytes, events, streams, firstAtMs, lastAtMs, inUse };
}

class LogAudit {
  private readonly faults: Fault[] = [];
  private faultsOmitted = 0;
  /** By stream: the revision that must come next. */
  private readonly next = new Map<string, number>();
  private events = 0;
  /** The first events of a stream may be gone. */
  private isScavenged = false;
  private firstAtMs: number | undefined;
  private lastAtMs: number | undefined;
  private unfinishedTailBytes = 0;
  private unfinishedAppend: { readonly from: number; bytes: number; events: number } | undefined;

  onRecord({ header, bytes, isScavenged, endsAppend }: ScannedRecord): void {
    this.isScavenged ||= isScavenged;
    const { position, length, revision } = header;
    this.events += 1;
    const atMs = recordedAtMsOf(bytes);
    this.firstAtMs ??= atMs;
    this.lastAtMs = atMs;
    if (revision >= 0) this.seeRevision(streamNameOf(bytes), position, revision);
    this.unfinishedAppend ??= { from: position, bytes: 0, events: 0 };
    this.unfinishedAppend.bytes += length;
    this.unfinishedAppend.events += 1;
    if (endsAppend) this.unfinishedAppend = undefined;
  }

  onBadRange({ from, to, isTail }: BadRange): void {
    if (isTail) {
      this.unfinishedTailBytes += to - from;
      return;
    }
    this.unfinishedAppend = undefined;
    this.found({ kind: 'damaged', from, to });
  }

  report() {
    const { faults, faultsOmitted, firstAtMs, lastAtMs, unfinishedAppend } = this;
    return {
      // The records of an append whose last one is not there do not count.
      events: this.events - (unfinishedAppend?.events ?? 0),
      streams: this.next.size,
      firstAtMs,
      lastAtMs,
      faults,
      faultsOmitted,
      unfinishedTailBytes: this.unfinishedTailBytes + (unfinishedAppend?.bytes ?? 0),
    };
  }

  private seeRevision(stream: string, position: number, found: number): void {
    const expected = this.next.get(stream) ?? (this.isScavenged ? found : 0);
    this.next.set(stream, found + 1);
    if (found !== expected) this.found({ kind: 'gap', position, stream, expected, found });
  }

  private found(fault: Fault): void {
    if (this.faults.length < FAULTS_LISTED_MAX) this.faults.push(fault);
    else this.faultsOmitted += 1;
  }
}
