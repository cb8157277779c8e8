import { ProtoReader } from './protobuf';

/** An event as it lies in a log: its bytes, and what the server says of it. */
export interface RawEvent {
  readonly stream: string;
  /** Below 2^53; of a tombstone -1. */
  readonly revision: number;
  /** The end of a stream that was deleted for ever. */
  readonly isTombstone: boolean;
  readonly id: string;
  readonly type: string;
  readonly contentType: string;
  readonly data: Buffer;
  readonly metadata: Buffer;
  /** 100 nanosecond ticks since the epoch, as decimal text. */
  readonly createdTicks: string;
  /** Of the commit, as decimal text. */
  readonly position: string;
  /** Of the event within it, likewise. */
  readonly prepare: string;
}

const DASHES = /^(.{8})(.{4})(.{4})(.{4})(.{12})$/;

/** Reads a `RecordedEvent`; its bytes stay views of `message`. */
export function decodeRecordedEvent(message: Buffer): RawEvent {
  const properties = new Map<string, string>();
  let [id, stream, position, prepare] = ['', '', '0', '0'];
  let revision = 0;
  let [data, metadata]: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  new ProtoReader(message).forEach((field, reader) => {
    if (field === 1) id = readId(reader);
    else if (field === 2) reader.message((part, inner) => part === 3 && (stream = inner.text()));
    else if (field === 3) revision = reader.varint();
    else if (field === 4) prepare = reader.unsignedText();
    else if (field === 5) position = reader.unsignedText();
    else if (field === 6) readProperty(reader, properties);
    else if (field === 7) metadata = reader.view();
    else if (field === 8) data = reader.view();
  });
  const isTombstone = revision > Number.MAX_SAFE_INTEGER;
  return {
    stream,
    revision: isTombstone ? -1 : revision,
    isTombstone,
    id,
    type: properties.get('type') ?? '',
    contentType: properties.get('content-type') ?? '',
    data,
    metadata,
    createdTicks: properties.get('created') ?? '0',
    position,
    prepare,
  };
}

function readId(reader: ProtoReader): string {
  let id = '';
  reader.message((field, inner) => {
    if (field === 2) id = inner.text();
    else if (field === 1) id = readHalves(inner);
  });
  return id;
}

function readHalves(reader: ProtoReader): string {
  const halves = Buffer.alloc(16);
  reader.message((field, inner) => {
    if (field === 1 || field === 2) halves.writeBigUInt64BE(inner.bits64(), (field - 1) * 8);
  });
  return halves.toString('hex').replace(DASHES, '$1-$2-$3-$4-$5');
}

function readProperty(reader: ProtoReader, into: Map<string, string>): void {
  let [key, value] = ['', ''];
  reader.message((field, inner) => {
    if (field === 1) key = inner.text();
    else if (field === 2) value = inner.text();
  });
  into.set(key, value);
}
