import * as fs from 'node:fs';
import { RecordWalk } from '../store/gaps';
import { type RecordHeader, HEADER_BYTES, claimedLength, claimedPosition, readRecordHeader } from '../store/record';
import { type OpenLogFile, openLog } from './open-log';

/** Bytes that are looked at together: records may be longer, then the window grows. */
const WINDOW_BYTES = 8 * 1024 * 1024;

export interface ScannedRecord {
  readonly header: RecordHeader;
  readonly bytes: Buffer;
  /** What stood before it may have been taken away. */
  readonly isScavenged: boolean;
  /** All of its append is there. What a scavenge left was acknowledged, also where the rest of its append is gone. */
  readonly endsAppend: boolean;
}

/** A stretch of the log that holds no intact record. `to` is where the next intact one begins, or the file ends. */
export interface BadRange {
  readonly from: number;
  readonly to: number;
  /** Nothing intact follows, and the file is the newest: a write that was never finished. */
  readonly isTail: boolean;
}

export interface LogVisitor {
  onRecord(record: ScannedRecord): void;
  onBadRange(range: BadRange): void;
}

export interface ScannedLog {
  readonly formatVersion: number;
  readonly segments: number;
  readonly bytes: number;
}

/** What the log is made of, in its order. */
export type LogPart = { readonly record: ScannedRecord } | { readonly badRange: BadRange };

/**
 * Reads a whole log without changing anything, also while a server serves it.
 * @throws EventStoreServerError `NoEventLog`, `UnknownFormatVersion`, `LogCorrupt`
 */
export function scanLog(folder: string, visitor: LogVisitor): ScannedLog {
  const parts = logParts(folder);
  for (let step = parts.next(); ; step = parts.next()) {
    if (step.done === true) return step.value;
    if ('record' in step.value) visitor.onRecord(step.value.record);
    else visitor.onBadRange(step.value.badRange);
  }
}

/** The same at the pace of the reader; the bytes of a record are valid until the next one is asked for. */
export function* logParts(folder: string): Generator<LogPart, ScannedLog> {
  const log = openLog(folder);
  try {
    let bytes = 0;
    let expected = 0;
    for (const [index, file] of log.files.entries()) {
      if (file.base > expected) yield { badRange: { from: expected, to: file.base, isTail: false } };
      yield* fileParts(file, { isNewest: index === log.files.length - 1 });
      bytes += file.size;
      expected = file.end;
    }
    return { formatVersion: log.formatVersion, segments: log.files.length, bytes };
  } finally {
    log.close();
  }
}

function* fileParts(file: OpenLogFile, { isNewest }: { readonly isNewest: boolean }): Generator<LogPart, void> {
  const { size, headBytes, gaps, base } = file;
  const window = new Window(file.descriptor, size);
  const isScavenged = headBytes > 0;
  const walk = new RecordWalk(gaps, base);
  for (let offset = headBytes; offset < size;) {
    const record = recordAt(window, offset, walk.position);
    if (record !== undefined) {
      yield { record: { ...record, isScavenged, endsAppend: isScavenged || record.header.lastOfAppend } };
      offset += record.header.length;
      walk.advance(record.header.length);
      continue;
    }
    const next = nextIntact(window, offset + 1, file);
    const to = next?.position ?? file.end;
    yield { badRange: { from: walk.position, to, isTail: isNewest && next === undefined } };
    if (next === undefined) return;
    offset = next.offset;
    walk.seek(next.position);
  }
}

function recordAt(window: Window, offset: number, position: number): Pick<ScannedRecord, 'header' | 'bytes'> | undefined {
  const head = window.bytes(offset, HEADER_BYTES);
  const length = claimedLength(head, 0);
  if (length < HEADER_BYTES || offset + length > window.size) return undefined;
  const bytes = window.bytes(offset, length);
  const header = readRecordHeader(bytes, 0, position);
  return header === undefined ? undefined : { header, bytes };
}

/** A record tells its own position: it counts where that is the one of its place in the file. */
function nextIntact(
  window: Window,
  from: number,
  { gaps, base, headBytes }: OpenLogFile,
): { readonly offset: number; readonly position: number } | undefined {
  for (let offset = from; offset + HEADER_BYTES <= window.size; offset += 1) {
    const position = claimedPosition(window.bytes(offset, HEADER_BYTES));
    const isOfPlace = headBytes + position - base - gaps.before(position) === offset;
    if (isOfPlace && recordAt(window, offset, position) !== undefined) return { offset, position };
  }
  return undefined;
}

/** The part of a file that is in memory. */
class Window {
  private start = 0;
  private held: Buffer = Buffer.alloc(0);

  constructor(
    private readonly file: number,
    readonly size: number,
  ) {}

  /** A view that is valid until the next call; shorter only at the end of the file. */
  bytes(offset: number, length: number): Buffer {
    const wanted = Math.min(length, this.size - offset);
    if (offset < this.start || offset + wanted > this.start + this.held.length) this.load(offset, wanted);
    return this.held.subarray(offset - this.start, offset - this.start + wanted);
  }

  private load(offset: number, length: number): void {
    const held = Buffer.allocUnsafe(Math.min(Math.max(WINDOW_BYTES, length), this.size - offset));
    let done = 0;
    while (done < held.length) {
      const count = fs.readSync(this.file, held, done, held.length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    this.start = offset;
    this.held = held.subarray(0, done);
  }
}
