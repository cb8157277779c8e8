import { ProtoWriter, fieldSize, putVarint, varintSize } from '@perdure/platform-event-store-wire';
import type { EventData, ExpectedRevision } from '@perdure/kernel';

export interface AppendMessage<Event = EventData> {
  /** Comes back with the answer. */
  readonly sequence: number;
  readonly stream: string;
  readonly expected: ExpectedRevision;
  readonly events: readonly Event[];
  readonly timeoutMs: number;
}

const UUID_TEXT_BYTES = 36;
const JSON_CONTENT = Buffer.from('application/json');
const TYPE_KEY = Buffer.from('type');
const CONTENT_TYPE_KEY = Buffer.from('content-type');
/** Constant: only within its call does an answer need to find its append. */
const CORRELATION_HIGH = 1;

/** An event whose bytes are final. */
export interface RawProposal {
  readonly id: string;
  readonly type: string;
  readonly contentType: string;
  readonly data: Buffer;
  readonly metadata: Buffer;
}

interface EventText {
  readonly id: string;
  readonly type: Buffer;
  readonly contentType: Buffer;
  readonly data: Buffer;
  readonly metadata: Buffer | undefined;
  readonly size: number;
}

function textOf(event: EventData): EventText {
  const type = Buffer.from(event.type, 'utf8');
  const data = Buffer.from(JSON.stringify(event.data) ?? 'null', 'utf8');
  const hasMetadata = event.metadata !== undefined && event.metadata !== null;
  const metadata = hasMetadata ? Buffer.from(JSON.stringify(event.metadata), 'utf8') : undefined;
  return measured({ id: event.id, type, contentType: JSON_CONTENT, data, metadata });
}

function rawTextOf({ id, type, contentType, data, metadata }: RawProposal): EventText {
  return measured({
    id,
    type: Buffer.from(type, 'utf8'),
    contentType: Buffer.from(contentType, 'utf8'),
    data,
    metadata: metadata.length === 0 ? undefined : metadata,
  });
}

function measured(text: Omit<EventText, 'size'>): EventText {
  const { id, type, contentType, data, metadata } = text;
  const size =
    fieldSize(fieldSize(id.length)) +
    mapEntrySize(TYPE_KEY, type) +
    mapEntrySize(CONTENT_TYPE_KEY, contentType) +
    (metadata === undefined ? 0 : fieldSize(metadata.length)) +
    fieldSize(data.length);
  return { id, type, contentType, data, metadata, size };
}

function mapEntrySize(key: Buffer, value: Buffer): number {
  return fieldSize(fieldSize(key.length) + fieldSize(value.length));
}

/** A `BatchAppendReq`, final and whole, written in one go: this is the hot path of everything. */
export function encodeAppend(message: AppendMessage): Buffer {
  return encodeTexts(message, message.events.map(textOf));
}

/** The same with bytes that are taken as they are. */
export function encodeRawAppend(message: AppendMessage<RawProposal>): Buffer {
  return encodeTexts(message, message.events.map(rawTextOf));
}

type AppendHead = Omit<AppendMessage, 'events'>;

function encodeTexts({ sequence, stream, expected, timeoutMs }: AppendHead, texts: readonly EventText[]): Buffer {
  const options = encodeOptions(stream, expected, timeoutMs);
  const correlationSize = 2 + 1 + varintSize(sequence);
  let size = fieldSize(fieldSize(correlationSize)) + fieldSize(options.length) + 2;
  for (const text of texts) size += fieldSize(text.size);
  const bytes = Buffer.allocUnsafe(size);
  bytes[0] = 0x0a;
  bytes[1] = fieldSize(correlationSize);
  bytes[2] = 0x0a;
  bytes[3] = correlationSize;
  bytes[4] = 0x08;
  bytes[5] = CORRELATION_HIGH;
  bytes[6] = 0x10;
  let at = putVarint(bytes, 7, sequence);
  at = putBytes(bytes, at, { tag: 0x12, value: options });
  for (const text of texts) at = putEvent(bytes, at, text);
  bytes[at] = 0x20;
  bytes[at + 1] = 1;
  return bytes;
}

function encodeOptions(stream: string, expected: ExpectedRevision, timeoutMs: number): Buffer {
  const writer = new ProtoWriter().message(1, (identifier) => identifier.text(3, stream));
  if (typeof expected === 'number') writer.uint(2, expected);
  else writer.empty({ 'no-stream': 3, any: 4, 'stream-exists': 5 }[expected]);
  // A duration, not a point in time: the clocks of two machines need not agree.
  const seconds = Math.floor(timeoutMs / 1000);
  return writer.message(7, (duration) => duration.uint(1, seconds).uint(2, (timeoutMs - seconds * 1000) * 1_000_000)).finish();
}

function putEvent(bytes: Buffer, at: number, text: EventText): number {
  bytes[at] = 0x1a;
  let offset = putVarint(bytes, at + 1, text.size);
  bytes[offset] = 0x0a;
  offset = putVarint(bytes, offset + 1, fieldSize(text.id.length));
  bytes[offset] = 0x12;
  offset = putVarint(bytes, offset + 1, text.id.length);
  offset += bytes.write(text.id, offset, 'latin1');
  offset = putMapEntry(bytes, offset, { key: TYPE_KEY, value: text.type });
  offset = putMapEntry(bytes, offset, { key: CONTENT_TYPE_KEY, value: text.contentType });
  if (text.metadata !== undefined) offset = putBytes(bytes, offset, { tag: 0x1a, value: text.metadata });
  return putBytes(bytes, offset, { tag: 0x22, value: text.data });
}

function putMapEntry(bytes: Buffer, at: number, { key, value }: { readonly key: Buffer; readonly value: Buffer }): number {
  bytes[at] = 0x12;
  const offset = putVarint(bytes, at + 1, fieldSize(key.length) + fieldSize(value.length));
  return putBytes(bytes, putBytes(bytes, offset, { tag: 0x0a, value: key }), { tag: 0x12, value });
}

function putBytes(bytes: Buffer, at: number, { tag, value }: { readonly tag: number; readonly value: Buffer }): number {
  bytes[at] = tag;
  const offset = putVarint(bytes, at + 1, value.length);
  return offset + value.copy(bytes, offset);
}

/** Ids are text on the wire; anything but a UUID would be refused by the server, so it is refused here. */
export function isEventId(id: string): boolean {
  return id.length === UUID_TEXT_BYTES && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id);
}
