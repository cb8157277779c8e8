import { crc32 } from 'node:zlib';
import { EventDamaged } from '../errors';
import { ID_BYTES } from '../wire/event-id';
import { putU64, readU64 } from './little-endian';
import { type PlacedEvent, putRecordedEvent, recordedEventSize } from '../wire/recorded-event';

// One record of the log. All numbers are little endian.
//
//   0  u32  length of the record, this header included
//   4  u32  CRC-32 of everything that follows
//   8  u64  position: the offset of this record in the whole log
//  16  u64  start of the group that was written together with it: all before was durable by then
//  24  i64  revision in the stream; -1 = the end of a stream that was deleted for ever
//  32  u64  time of recording, in microseconds since the epoch
//  40  16 B event id
//  56  u16  bytes of the stream name        58  u16  bytes of the event type
//  60  u8   1 = last record of its append   61  u8 × 3  zero
//  64       stream name, event type, RecordedEvent message
//
// 1. A record that is cut short, moved or altered is recognised: length, CRC and position must agree.
// 2. An append counts only when its last record is there.
// 3. A bad record followed by a good one whose group started after it was acknowledged once: that is
//    damage, not a torn write, and must never be cut off silently.

export const HEADER_BYTES = 64;
export const TEXT_BYTES_MAX = 65_535;
const LENGTH_AT = 0;
const CRC_AT = 4;
const POSITION_AT = 8;
const GROUP_AT = 16;
const REVISION_AT = 24;
const TIME_AT = 32;
const ID_AT = 40;
const NAME_LENGTH_AT = 56;
const TYPE_LENGTH_AT = 58;
const LAST_AT = 60;
const TWO_32 = 4_294_967_296;

export interface RecordPlace {
  readonly groupStart: number;
  readonly recordedAtMicros: number;
  readonly lastOfAppend: boolean;
}

export interface RecordHeader {
  readonly length: number;
  readonly position: number;
  readonly groupStart: number;
  readonly revision: number;
  readonly lastOfAppend: boolean;
}

export function recordSize(placed: PlacedEvent): number {
  return HEADER_BYTES + placed.streamName.length + placed.type.length + recordedEventSize(placed);
}

export function putRecord(
  target: Buffer,
  at: number,
  record: { readonly placed: PlacedEvent; readonly place: RecordPlace },
): number {
  const { placed, place } = record;
  const { streamName, type, revision, event } = placed;
  putU64(target, at + POSITION_AT, placed.position);
  putU64(target, at + GROUP_AT, place.groupStart);
  target.writeInt32LE(revision < 0 ? -1 : (revision % TWO_32) | 0, at + REVISION_AT);
  target.writeInt32LE(revision < 0 ? -1 : Math.floor(revision / TWO_32), at + REVISION_AT + 4);
  putU64(target, at + TIME_AT, place.recordedAtMicros);
  event.id.copy(target, at + ID_AT);
  target.writeUInt16LE(streamName.length, at + NAME_LENGTH_AT);
  target.writeUInt16LE(type.length, at + TYPE_LENGTH_AT);
  target.writeUInt32LE(place.lastOfAppend ? 1 : 0, at + LAST_AT);
  let offset = at + HEADER_BYTES;
  offset += streamName.copy(target, offset);
  offset += type.copy(target, offset);
  const end = putRecordedEvent(target, offset, placed);
  target.writeUInt32LE(end - at, at + LENGTH_AT);
  target.writeUInt32LE(crc32(target.subarray(at + POSITION_AT, end)), at + CRC_AT);
  return end;
}

/** Undefined when no intact record of position `expectedPosition` starts at `at`. */
export function readRecordHeader(source: Buffer, at: number, expectedPosition: number): RecordHeader | undefined {
  if (source.length - at < HEADER_BYTES) return undefined;
  const length = source.readUInt32LE(at + LENGTH_AT);
  if (length < HEADER_BYTES || length > source.length - at) return undefined;
  if (readU64(source, at + POSITION_AT) !== expectedPosition) return undefined;
  if (crc32(source.subarray(at + POSITION_AT, at + length)) !== source.readUInt32LE(at + CRC_AT)) return undefined;
  const high = source.readInt32LE(at + REVISION_AT + 4);
  return {
    length,
    position: expectedPosition,
    groupStart: readU64(source, at + GROUP_AT),
    revision: high < 0 ? -1 : source.readUInt32LE(at + REVISION_AT) + high * TWO_32,
    lastOfAppend: source[at + LAST_AT] === 1,
  };
}

/** @throws EventDamaged when `source` does not hold intact records, one after the other, from `position` on */
export function checkRecords(source: Buffer, position: number): void {
  for (let at = 0; at < source.length;) {
    const header = readRecordHeader(source, at, position + at);
    if (header === undefined) throw new EventDamaged(position + at);
    at += header.length;
  }
}

/** Length that the header claims, to know how much to read; 0 when the header is not complete. */
export function claimedLength(source: Buffer, at: number): number {
  return source.length - at < HEADER_BYTES ? 0 : source.readUInt32LE(at + LENGTH_AT);
}

/** Position that the complete header claims. */
export function claimedPosition(header: Buffer): number {
  return readU64(header, POSITION_AT);
}

export function streamNameOf(record: Buffer): string {
  return record.toString('utf8', HEADER_BYTES, HEADER_BYTES + record.readUInt16LE(NAME_LENGTH_AT));
}

export function eventTypeOf(record: Buffer): string {
  const start = HEADER_BYTES + record.readUInt16LE(NAME_LENGTH_AT);
  return record.toString('utf8', start, start + record.readUInt16LE(TYPE_LENGTH_AT));
}

export function recordedEventOf(record: Buffer): Buffer {
  return record.subarray(HEADER_BYTES + record.readUInt16LE(NAME_LENGTH_AT) + record.readUInt16LE(TYPE_LENGTH_AT));
}

export function eventIdOf(record: Buffer): Buffer {
  return record.subarray(ID_AT, ID_AT + ID_BYTES);
}

export function recordedAtMsOf(record: Buffer): number {
  return readU64(record, TIME_AT) / 1000;
}
