import { crc32 } from 'node:zlib';
import { ID_BYTES } from '../wire/event-id';
import type { EventIndex } from './event-index';

// What the index knows of one closed segment of the log, so that opening need not read the segment itself.
// All numbers are little endian.
//
//   0  8 B  "PRDIDX01"         8  u32  CRC-32 of everything after it
//  12  u64  base of the segment            20  u64  its bytes
//  28  u32  streams that the log named before it     32  u32  types before it
//  36  u32  new streams  40  u32  new types  44  u32  records  48  u32  tombstones  52  u32  ids
//  56       u32 × records: lengths; u32 × records: streams; u32 × records: types; u32 × tombstones: rows;
//           16 B × ids: of the last records; then names: u32 length and text, streams first
//
// 1. Streams and types are numbered in the order in which the log first names them, so that a file of one segment
//    fits only behind the segments that it was written behind.
// 2. It is a cache: a file that is missing, damaged or does not fit costs a scan of its segment, never an answer.

const MAGIC = 'PRDIDX01';
const CRC_AT = 8;
const BASE_AT = 12;
const HEADER_BYTES = 56;
const TWO_32 = 4_294_967_296;
/** Of the last records: a repeated append is recognised across a restart. */
const IDS_KEPT = 1 << 16;

export interface IndexedSegment {
  readonly lengths: Uint32Array;
  readonly streams: Uint32Array;
  readonly types: Uint32Array;
  readonly tombstones: ReadonlySet<number>;
  /** Of the last records. */
  readonly ids: readonly Buffer[];
  readonly newStreams: readonly string[];
  readonly newTypes: readonly string[];
}

/** Where a segment lies, and how much the log had named before it. */
export interface SegmentPlace {
  readonly base: number;
  readonly bytes: number;
  readonly streamsBefore: number;
  readonly typesBefore: number;
}

/** Rows `[first, end)` of the index are the segment. */
export interface SegmentRows extends SegmentPlace {
  readonly first: number;
  readonly end: number;
  readonly streamsAfter: number;
  readonly typesAfter: number;
}

/** Encodes in parts, so that the caller may let others have their turn in between. */
export function* encodeSegment(index: EventIndex, rows: SegmentRows, idOf: (event: number) => Buffer): Generator<void, Buffer> {
  const { first, end } = rows;
  const records = end - first;
  const columns = new Uint32Array(records * 3);
  const tombstones: number[] = [];
  for (let row = 0; row < records; row += 1) {
    const event = first + row;
    const stream = index.columns.stream(event);
    columns[row] = index.columns.length(event);
    columns[records + row] = stream;
    columns[2 * records + row] = index.columns.type(event);
    if (index.streamNumbered(stream).tombstone === event) tombstones.push(row);
    if (row % ROWS_A_TURN === ROWS_A_TURN - 1) yield;
  }
  const ids: Buffer[] = [];
  for (let event = Math.max(first, end - IDS_KEPT); event < end; event += 1) {
    ids.push(Buffer.from(idOf(event)));
    if (ids.length % IDS_A_TURN === 0) yield;
  }
  const names: Buffer[] = [];
  for (let stream = rows.streamsBefore; stream < rows.streamsAfter; stream += 1) {
    names.push(...nameParts(index.streamNumbered(stream).name));
    if (names.length % ROWS_A_TURN === 0) yield;
  }
  for (let type = rows.typesBefore; type < rows.typesAfter; type += 1) names.push(...nameParts(index.typeNumbered(type)));
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(MAGIC, 'latin1');
  putU64(header, BASE_AT, rows.base);
  putU64(header, BASE_AT + 8, rows.bytes);
  const counts = [rows.streamsBefore, rows.typesBefore, rows.streamsAfter - rows.streamsBefore];
  counts.push(rows.typesAfter - rows.typesBefore, records, tombstones.length, ids.length);
  counts.forEach((count, at) => header.writeUInt32LE(count, BASE_AT + 16 + 4 * at));
  const bytes = Buffer.concat([header, bytesOf(columns), bytesOf(Uint32Array.from(tombstones)), ...ids, ...names]);
  bytes.writeUInt32LE(crc32(bytes.subarray(BASE_AT)), CRC_AT);
  return bytes;
}

const ROWS_A_TURN = 16_384;
const IDS_A_TURN = 1_024;

/** Undefined when the file is not whole, or not of this place. */
export function decodeSegment(bytes: Buffer, place: SegmentPlace): IndexedSegment | undefined {
  if (bytes.length < HEADER_BYTES || bytes.toString('latin1', 0, CRC_AT) !== MAGIC) return undefined;
  if (crc32(bytes.subarray(BASE_AT)) !== bytes.readUInt32LE(CRC_AT)) return undefined;
  const count = (at: number): number => bytes.readUInt32LE(BASE_AT + 16 + 4 * at);
  const isOfPlace =
    readU64(bytes, BASE_AT) === place.base &&
    readU64(bytes, BASE_AT + 8) === place.bytes &&
    count(0) === place.streamsBefore &&
    count(1) === place.typesBefore;
  if (!isOfPlace) return undefined;
  const records = count(4);
  const reader = new Reader(bytes, HEADER_BYTES);
  return {
    lengths: reader.numbers(records),
    streams: reader.numbers(records),
    types: reader.numbers(records),
    tombstones: new Set(reader.numbers(count(5))),
    ids: Array.from({ length: count(6) }, () => reader.bytes(ID_BYTES)),
    newStreams: Array.from({ length: count(2) }, () => reader.name()),
    newTypes: Array.from({ length: count(3) }, () => reader.name()),
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
    const copy = new Uint8Array(this.bytes(count * 4));
    return new Uint32Array(copy.buffer, 0, count);
  }

  name(): string {
    return this.bytes(this.bytes(4).readUInt32LE(0)).toString('utf8');
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

function putU64(target: Buffer, at: number, value: number): void {
  target.writeUInt32LE(value % TWO_32, at);
  target.writeUInt32LE(Math.floor(value / TWO_32), at + 4);
}

function readU64(source: Buffer, at: number): number {
  return source.readUInt32LE(at) + source.readUInt32LE(at + 4) * TWO_32;
}
