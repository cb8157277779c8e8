import * as fs from 'node:fs';
import { join } from 'node:path';
import { EventStoreServerError } from '../errors';
import { FORMAT_FILE, readFormat } from '../store/data-folder';
import { nodeFileSystem } from '../store/file-system';
import { type RecordHeader, HEADER_BYTES, claimedLength, readRecordHeader } from '../store/record';
import { SEGMENT_NAME } from '../store/segments';

/** Bytes that are looked at together: records may be longer, then the window grows. */
const WINDOW_BYTES = 8 * 1024 * 1024;

export interface ScannedRecord {
  readonly header: RecordHeader;
  readonly bytes: Buffer;
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

/**
 * Reads a whole log without changing anything, also while a server serves it.
 * @throws EventStoreServerError `NoEventLog`, `UnknownFormatVersion`
 */
export function scanLog(folder: string, visitor: LogVisitor): ScannedLog {
  const formatVersion = formatOf(folder);
  const names = fs.readdirSync(folder).filter((name) => SEGMENT_NAME.test(name));
  let bytes = 0;
  let expected = 0;
  for (const [index, name] of [...names].sort().entries()) {
    const base = Number(name.slice(0, 20));
    if (base > expected) visitor.onBadRange({ from: expected, to: base, isTail: false });
    const file = fs.openSync(join(folder, name), 'r');
    try {
      const size = fs.fstatSync(file).size;
      scanSegment({ file, base, size, isNewest: index === names.length - 1 }, visitor);
      bytes += size;
      expected = base + size;
    } finally {
      fs.closeSync(file);
    }
  }
  return { formatVersion, segments: names.length, bytes };
}

function formatOf(folder: string): number {
  const path = join(folder, FORMAT_FILE);
  if (!fs.existsSync(path)) {
    throw new EventStoreServerError('NoEventLog', `${folder} holds no event log: name the folder that was given as --data.`);
  }
  return readFormat(nodeFileSystem.readText(path), path);
}

interface Segment {
  readonly file: number;
  readonly base: number;
  readonly size: number;
  readonly isNewest: boolean;
}

function scanSegment(segment: Segment, visitor: LogVisitor): void {
  const { base, size, isNewest } = segment;
  const window = new Window(segment.file, size);
  for (let offset = 0; offset < size;) {
    const record = recordAt(window, base, offset);
    if (record !== undefined) {
      visitor.onRecord(record);
      offset += record.header.length;
      continue;
    }
    const next = nextIntact(window, base, offset + 1);
    visitor.onBadRange({ from: base + offset, to: base + (next ?? size), isTail: isNewest && next === undefined });
    offset = next ?? size;
  }
}

function recordAt(window: Window, base: number, offset: number): ScannedRecord | undefined {
  const head = window.bytes(offset, HEADER_BYTES);
  const length = claimedLength(head, 0);
  if (length < HEADER_BYTES || offset + length > window.size) return undefined;
  const bytes = window.bytes(offset, length);
  const header = readRecordHeader(bytes, 0, base + offset);
  return header === undefined ? undefined : { header, bytes };
}

function nextIntact(window: Window, base: number, from: number): number | undefined {
  for (let offset = from; offset + HEADER_BYTES <= window.size; offset += 1) {
    if (recordAt(window, base, offset) !== undefined) return offset;
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
