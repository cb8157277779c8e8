import { EventStoreServerError } from '../errors';
import type { LogFile } from './file-system';
import { type RecordHeader, claimedLength, readRecordHeader } from './record';
import { RecordWalk } from './gaps';
import type { Segment, Segments } from './segments';

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
  load(segment: Segment): boolean;
  /** A complete append. */
  visit(records: readonly RecoveredRecord[]): void;
  /** The closed segment, a file of so many bytes, was scanned up to its end. */
  close(end: number, bytes: number): void;
}

/**
 * Visits every complete append of the log, oldest first, cuts a torn tail and makes what is left durable.
 * @returns the position after the last complete append
 * @throws EventStoreServerError `LogCorrupt` when records that were once acknowledged are damaged
 */
export async function recoverLog(segments: Segments, reader: LogReader): Promise<number> {
  let end = 0;
  for (const segment of segments.all) {
    if (segment.base !== end) throw corrupt(end, `the next file begins at ${segment.base}`);
    // A long recovery must not keep the process from saying that it is alive.
    await new Promise((resolve) => setImmediate(resolve));
    reader.begin(segment.base);
    if (segment.end !== undefined && reader.load(segment)) {
      end = segment.end;
      continue;
    }
    end = scan(segment, (records) => reader.visit(records));
    if (segment.end !== undefined) {
      if (end !== segment.end) throw corrupt(end, 'a closed file holds a bad record');
      reader.close(end, segment.file.size());
      continue;
    }
    const { base, file } = segment;
    if (end - base === file.size()) continue;
    refuseDamage({ file, base }, end);
    file.truncate(end - base);
  }
  // What a killed process had written may be read now, so it must not be lost to a power cut later.
  await segments.last.file.sync();
  return end;
}

/** Position after the last complete append. */
function scan({ file, base, headBytes, gaps }: Segment, visit: LogReader['visit']): number {
  const size = file.size();
  const walk = new RecordWalk(gaps, base);
  let complete = walk.position;
  let offset = headBytes;
  let window = Buffer.alloc(0);
  let windowStart = 0;
  let append: RecoveredRecord[] = [];
  while (offset < size) {
    let header = readRecordHeader(window, offset - windowStart, walk.position);
    if (header === undefined) {
      const wanted = Math.max(WINDOW_BYTES, claimedLength(window, offset - windowStart));
      const isFresh = windowStart === offset && window.length === Math.min(wanted, size - offset);
      if (isFresh) break;
      window = Buffer.allocUnsafe(Math.min(wanted, size - offset));
      windowStart = offset;
      file.read(window, offset);
      header = readRecordHeader(window, 0, walk.position);
      if (header === undefined && claimedLength(window, 0) <= window.length) break;
      if (header === undefined) continue;
    }
    append.push({ header, bytes: window.subarray(offset - windowStart, offset - windowStart + header.length) });
    offset += header.length;
    walk.advance(header.length);
    // What a scavenge left was acknowledged, also where the rest of its append is gone.
    if (!header.lastOfAppend && headBytes === 0) continue;
    visit(append);
    append = [];
    complete = walk.position;
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
