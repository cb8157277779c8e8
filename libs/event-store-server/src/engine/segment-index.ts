import { crc32 } from 'node:zlib';
import { putU64, readU64 } from '../store/little-endian';
import { ID_BYTES } from '../wire/event-id';
import type { EventIndex } from './event-index';

// What the index knows of one closed segment of the log, so that opening need not read the segment itself.
// All numbers are little endian.
//
//   0  8 B  "PRDIDX02"         8  u32  CRC-32 of everything after it
//  12  u64  base of the segment            20  u64  position after it         28  u64  bytes of its file
//  36  16 B digest of the names that the log had named before it          52  16 B and after it
//  68  u32  new streams  72  u32  new types  76  u32  records  80  u32  tombstones  84  u32  ids
//  88       u32 × records: lengths; streams; types; revisions; u32 × tombstones: rows;
//           16 B × ids: of the last records; then names: u32 length and text, streams first
//
// 1. Streams and types are numbered in the order in which the log first names them. A file of one segment fits only
//    behind segments that named the same in the same order: the digest tells. A name keeps its number when a scavenge
//    takes away the event that brought it.
// 2. It is a cache: a file that is missing, damaged or does not fit costs a scan of its segment, never an answer.

const MAGIC = 'PRDIDX02';
const CRC_AT = 8;
const BASE_AT = 12;
const END_AT = 20;
const BYTES_AT = 28;
const BEFORE_AT = 36;
const AFTER_AT = 52;
const COUNTS_AT = 68;
const HEADER_BYTES = 88;
export const DIGEST_BYTES = 16;
/** Columns of one number a record. */
const COLUMNS = 4;
/** Of the last records: a repeated append is recognised across a restart. */
const IDS_KEPT = 1 << 16;
const ROWS_A_TURN = 16_384;
/** Each may be a read of the disk. */
const IDS_A_TURN = 256;

export interface IndexedSegment {
  readonly lengths: Uint32Array;
  readonly streams: Uint32Array;
  readonly types: Uint32Array;
  readonly revisions: Uint32Array;
  readonly tombstones: ReadonlySet<number>;
  /** Of the last records, one behind the other. */
  readonly ids: Buffer;
  readonly newStreams: readonly string[];
  readonly newTypes: readonly string[];
  readonly namesAfter: Buffer;
}

/** Where a segment lies, and what the log had named before it. */
export interface SegmentPlace {
  readonly base: number;
  readonly end: number;
  readonly bytes: number;
  readonly namesBefore: Buffer;
}

/** Rows `[first, end)` of the index are the segment; it is the first to name these streams and types. */
export interface SegmentRows {
  readonly firstEvent: number;
  readonly endEvent: number;
  readonly streamsBefore: number;
  readonly streamsAfter: number;
  readonly typesBefore: number;
  readonly typesAfter: number;
  readonly namesAfter: Buffer;
}

export interface SegmentEncoding {
  readonly index: EventIndex;
  readonly place: SegmentPlace;
  readonly rows: SegmentRows;
  idOf(event: number): Buffer;
}

/** Encodes in parts, so that the caller may let others have their turn in between. */
export function* encodeSegment({ index, place, rows, idOf }: SegmentEncoding): Generator<void, Buffer> {
  const events: number[] = [];
  for (let event = rows.firstEvent; event < rows.endEvent; event += 1) {
    if (!index.columns.isRemoved(event)) events.push(event);
  }
  const columns = new Uint32Array(events.length * COLUMNS);
  const tombstones: number[] = [];
  for (const [row, event] of events.entries()) {
    putRow(columns, row, { index, event, rows: events.length });
    if (index.streamOf(event).tombstone === event) tombstones.push(row);
    if (row % ROWS_A_TURN === ROWS_A_TURN - 1) yield;
  }
  const ids: Buffer[] = [];
  for (const event of events.slice(-IDS_KEPT)) {
    ids.push(Buffer.from(idOf(event)));
    if (ids.length % IDS_A_TURN === 0) yield;
  }
  const names: Buffer[] = [];
  for (let stream = rows.streamsBefore; stream < rows.streamsAfter; stream += 1) {
    names.push(...nameParts(index.streamNumbered(stream).name));
    if (names.length % ROWS_A_TURN === 0) yield;
  }
  for (let type = rows.typesBefore; type < rows.typesAfter; type += 1) names.push(...nameParts(index.typeNumbered(type)));
  const counts = [rows.streamsAfter - rows.streamsBefore, rows.typesAfter - rows.typesBefore];
  const header = headerOf(place, rows.namesAfter, [...counts, events.length, tombstones.length, ids.length]);
  const bytes = Buffer.concat([header, bytesOf(columns), bytesOf(Uint32Array.from(tombstones)), ...ids, ...names]);
  bytes.writeUInt32LE(crc32(bytes.subarray(BASE_AT)), CRC_AT);
  return bytes;
}

function putRow(
  columns: Uint32Array,
  row: number,
  { index, event, rows }: { readonly index: EventIndex; readonly event: number; readonly rows: number },
): void {
  const stream = index.columns.stream(event);
  const entry = index.streamNumbered(stream);
  columns[row] = index.columns.length(event);
  columns[rows + row] = stream;
  columns[2 * rows + row] = index.columns.type(event);
  columns[3 * rows + row] = entry.tombstone === event ? 0 : entry.revisionOf(event);
}

function headerOf({ base, end, bytes, namesBefore }: SegmentPlace, namesAfter: Buffer, counts: readonly number[]): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, 'latin1');
  putU64(header, BASE_AT, base);
  putU64(header, END_AT, end);
  putU64(header, BYTES_AT, bytes);
  namesBefore.copy(header, BEFORE_AT);
  namesAfter.copy(header, AFTER_AT);
  counts.forEach((count, at) => header.writeUInt32LE(count, COUNTS_AT + 4 * at));
  return header;
}

/** Undefined when the file is not whole, or not of this place. */
export function decodeSegment(bytes: Buffer, place: SegmentPlace): IndexedSegment | undefined {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, CRC_AT) !== MAGIC) return undefined;
  if (crc32(bytes.subarray(BASE_AT)) !== bytes.readUInt32LE(CRC_AT)) return undefined;
  const isOfPlace =
    readU64(bytes, BASE_AT) === place.base &&
    readU64(bytes, END_AT) === place.end &&
    readU64(bytes, BYTES_AT) === place.bytes &&
    bytes.subarray(BEFORE_AT, BEFORE_AT + DIGEST_BYTES).equals(place.namesBefore);
  if (!isOfPlace) return undefined;
  const count = (at: number): number => bytes.readUInt32LE(COUNTS_AT + 4 * at);
  const records = count(2);
  const reader = new Reader(bytes, HEADER_BYTES);
  return {
    lengths: reader.numbers(records),
    streams: reader.numbers(records),
    types: reader.numbers(records),
    revisions: reader.numbers(records),
    tombstones: new Set(reader.numbers(count(3))),
    // A copy: they outlive the rest of the file.
    ids: Buffer.from(reader.bytes(count(4) * ID_BYTES)),
    newStreams: Array.from({ length: count(0) }, () => reader.name()),
    newTypes: Array.from({ length: count(1) }, () => reader.name()),
    namesAfter: Buffer.from(bytes.subarray(AFTER_AT, AFTER_AT + DIGEST_BYTES)),
  };
}

class Reader {
  constructor(
    private readonly source: Buffer,
    private at: number,
  ) {}

  bytes(length: number): Buffer {
    this.at += length;
    return this.source.subarray(this.at - length, this.at);
  }

  numbers(count: number): Uint32Array {
    const bytes = this.bytes(count * 4);
    if (bytes.byteOffset % 4 === 0) return new Uint32Array(bytes.buffer, bytes.byteOffset, count);
    return new Uint32Array(new Uint8Array(bytes).buffer, 0, count);
  }

  name(): string {
    const start = this.at + 4;
    this.at = start + this.source.readUInt32LE(this.at);
    return this.source.toString('utf8', start, this.at);
  }
}

function nameParts(name: string): [Buffer, Buffer] {
  const text = Buffer.from(name, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return [length, text];
}

function bytesOf(numbers: Uint32Array): Buffer {
  return Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}
