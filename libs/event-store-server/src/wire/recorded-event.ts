import { ID_TEXT_BYTES, idToText } from './event-id';
import { ProtoReader, fieldSize, putVarint, varintSize } from '@perdure/platform-event-store-wire';

/** What a writer proposes; the buffers are views of its request. */
export interface ProposedEvent {
  readonly id: Buffer;
  readonly type: string;
  readonly contentType: string;
  readonly data: Buffer;
  readonly metadata: Buffer;
}

/** An event with its place, measured: the sizes that the encoder needs are computed once. */
export interface PlacedEvent {
  readonly event: ProposedEvent;
  readonly streamName: Buffer;
  readonly type: Buffer;
  /** Below 2^53, or -1 for the end of a stream that was deleted for ever (2^63-1 on the wire). */
  readonly revision: number;
  readonly position: number;
  /** 100 nanosecond ticks since the epoch, as decimal text. */
  readonly created: string;
}

const ID_FIELD_BYTES = 2 + 2 + ID_TEXT_BYTES;
const TYPE_KEY = Buffer.from('type');
const CONTENT_TYPE_KEY = Buffer.from('content-type');
const CREATED_KEY = Buffer.from('created');
const JSON_TYPE = Buffer.from('application/json');
/** 2^63-1 as a varint: nine bytes. */
const LAST_REVISION = Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]);

function contentTypeBytes(text: string): Buffer {
  return text === 'application/json' ? JSON_TYPE : Buffer.from(text, 'utf8');
}

function mapEntrySize(keyLength: number, valueLength: number): number {
  return fieldSize(fieldSize(keyLength) + fieldSize(valueLength));
}

/** Size of the `RecordedEvent` message that `putRecordedEvent` writes. */
export function recordedEventSize({ event, streamName, type, revision, position, created }: PlacedEvent): number {
  const positionSize = 1 + varintSize(position);
  const revisionSize = 1 + (revision < 0 ? LAST_REVISION.length : varintSize(revision));
  return (
    ID_FIELD_BYTES +
    fieldSize(fieldSize(streamName.length)) +
    revisionSize +
    2 * positionSize +
    mapEntrySize(TYPE_KEY.length, type.length) +
    mapEntrySize(CONTENT_TYPE_KEY.length, contentTypeBytes(event.contentType).length) +
    mapEntrySize(CREATED_KEY.length, created.length) +
    fieldSize(event.metadata.length) +
    fieldSize(event.data.length)
  );
}

function putData(target: Buffer, at: number, field: { readonly tag: number; readonly bytes: Buffer }): number {
  target[at] = field.tag;
  const offset = putVarint(target, at + 1, field.bytes.length);
  field.bytes.copy(target, offset);
  return offset + field.bytes.length;
}

function putMapEntry(target: Buffer, at: number, entry: { readonly key: Buffer; readonly value: Buffer }): number {
  target[at] = 0x32;
  const offset = putVarint(target, at + 1, fieldSize(entry.key.length) + fieldSize(entry.value.length));
  return putData(target, putData(target, offset, { tag: 0x0a, bytes: entry.key }), { tag: 0x12, bytes: entry.value });
}

/**
 * Writes the message that every later read copies verbatim. Its first field is the id in text form,
 * always `ID_FIELD_BYTES` long, so that a reader who wants the other form can replace it.
 */
export function putRecordedEvent(target: Buffer, at: number, placed: PlacedEvent): number {
  const { event, streamName, type, revision, position } = placed;
  target[at] = 0x0a;
  target[at + 1] = 2 + ID_TEXT_BYTES;
  target[at + 2] = 0x12;
  target[at + 3] = ID_TEXT_BYTES;
  target.write(idToText(event.id), at + 4, 'latin1');
  let offset = at + ID_FIELD_BYTES;
  target[offset] = 0x12;
  offset = putVarint(target, offset + 1, fieldSize(streamName.length));
  offset = putData(target, offset, { tag: 0x1a, bytes: streamName });
  target[offset++] = 0x18;
  if (revision < 0) offset += LAST_REVISION.copy(target, offset);
  else offset = putVarint(target, offset, revision);
  target[offset++] = 0x20;
  offset = putVarint(target, offset, position);
  target[offset++] = 0x28;
  offset = putVarint(target, offset, position);
  offset = putMapEntry(target, offset, { key: TYPE_KEY, value: type });
  offset = putMapEntry(target, offset, { key: CONTENT_TYPE_KEY, value: contentTypeBytes(event.contentType) });
  offset = putMapEntry(target, offset, { key: CREATED_KEY, value: Buffer.from(placed.created, 'latin1') });
  offset = putData(target, offset, { tag: 0x3a, bytes: event.metadata });
  return putData(target, offset, { tag: 0x42, bytes: event.data });
}

/** The `data` field of a stored `RecordedEvent`. */
export function dataOfRecordedEvent(message: Buffer): Buffer {
  return bytesOf(message, 8);
}

/** What its writer said about it. */
export function metadataOfRecordedEvent(message: Buffer): Buffer {
  return bytesOf(message, 7);
}

function bytesOf(message: Buffer, wanted: number): Buffer {
  let bytes: Buffer = Buffer.alloc(0);
  new ProtoReader(message).forEach((field, reader) => {
    if (field === wanted) bytes = reader.view();
  });
  return bytes;
}

/** The same message with the id as two 64-bit halves, for clients in languages that ask for it. */
export function withStructuredId(message: Buffer, id: Buffer): Buffer {
  const halves = Buffer.allocUnsafe(32);
  halves[0] = 0x08;
  let end = putVarint64(halves, 1, id.readBigUInt64BE(0));
  halves[end++] = 0x10;
  end = putVarint64(halves, end, id.readBigUInt64BE(8));
  const head = Buffer.from([0x0a, end + 2, 0x0a, end]);
  return Buffer.concat([head, halves.subarray(0, end), message.subarray(ID_FIELD_BYTES)]);
}

function putVarint64(target: Buffer, at: number, value: bigint): number {
  let offset = at;
  let rest = value;
  while (rest >= 128n) {
    target[offset++] = Number(rest & 0x7fn) | 0x80;
    rest >>= 7n;
  }
  target[offset++] = Number(rest);
  return offset;
}
