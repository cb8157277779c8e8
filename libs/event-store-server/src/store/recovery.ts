import { EventStoreServerError } from '../errors';
import type { LogFile } from './file-system';
import { type RecordHeader, claimedLength, readRecordHeader } from './record';
import type { Segments } from './segments';

const WINDOW_BYTES = 4 * 1024 * 1024;

export interface RecoveredRecord {
  readonly header: RecordHeader;
  readonly bytes: Buffer;
}

/** Who builds what is known of the log from it. */
export interface LogReader {
  /** A segment begins. */
  begin(base: number): void;
  /** @returns true when all that is in the segment, which is closed, is known by other means */
  load(bytes: number): boolean;
  /** A complete append. */
  visit(records: readonly RecoveredRecord[]): void;
  /** The closed segment was scanned up to its end. */
  close(end: number): void;
}

/**
 * Visits every complete append of the log, oldest first, cuts a torn tail and makes what is left durable.
 * @returns the position after the last complete append
 * @throws EventStoreServerError `LogCorrupt` when records that were once acknowledged are damaged
 */
export async function recoverLog(segments: Segments, reader: LogReader): Promise<number> {
  let end = 0;
  for (const { base, file } of segments.all) {
    if (base !== end) throw corrupt(end, `the next file begins at ${base}`);
    const isLast = file === segments.last.file;
    const size = file.size();
    reader.begin(base);
    if (!isLast && reader.load(size)) {
      end = base + size;
      continue;
    }
    end = base + scan({ file, base }, (records) => reader.visit(records));
    if (end - base === size) {
      if (!isLast) reader.close(end);
      continue;
    }
    if (!isLast) throw corrupt(end, 'a closed file holds a bad record');
    refuseDamage({ file, base }, end);
    file.truncate(end - base);
  }
  // What a killed process had written may be read now, so it must not be lost to a power cut later.
  await segments.last.file.sync();
  return end;
}

/** Offset after the last complete append. */
function scan({ file, base }: { readonly file: LogFile; readonly base: number }, visit: LogReader['visit']): number {
  const size = file.size();
  let complete = 0;
  let offset = 0;
  let window = Buffer.alloc(0);
  let windowStart = 0;
  let append: RecoveredRecord[] = [];
  while (offset < size) {
    let header = readRecordHeader(window, offset - windowStart, base + offset);
    if (header === undefined) {
      const wanted = Math.max(WINDOW_BYTES, claimedLength(window, offset - windowStart));
      const isFresh = windowStart === offset && window.length === Math.min(wanted, size - offset);
      if (isFresh) break;
      window = Buffer.allocUnsafe(Math.min(wanted, size - offset));
      windowStart = offset;
      file.read(window, offset);
      header = readRecordHeader(window, 0, base + offset);
      if (header === undefined && claimedLength(window, 0) <= window.length) break;
      if (header === undefined) continue;
    }
    append.push({ header, bytes: window.subarray(offset - windowStart, offset - windowStart + header.length) });
    offset += header.length;
    if (!header.lastOfAppend) continue;
    visit(append);
    append = [];
    complete = offset;
  }
  return complete;
}

/** Invariant 3 of the record format: an intact record of a later group proves that `end` was durable once. */
function refuseDamage({ file, base }: { readonly file: LogFile; readonly base: number }, end: number): void {
  const rest = Buffer.allocUnsafe(file.size() - (end - base));
  file.read(rest, end - base);
  for (let at = 1; at < rest.length; at += 1) {
    const header = readRecordHeader(rest, at, end + at);
    if (header !== undefined && header.groupStart > end) {
      throw corrupt(end, `intact records follow at ${end + at}`);
    }
  }
}

function corrupt(position: number, evidence: string): EventStoreServerError {
  return new EventStoreServerError(
    'LogCorrupt',
    `The log is damaged at position ${position} (${evidence}): nothing was changed. Restore the data folder from a backup.`,
  );
}
