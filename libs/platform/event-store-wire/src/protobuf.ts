import { isUtf8 } from 'node:buffer';

const TWO_32 = 4_294_967_296;
const NUMBER = 0;
const LENGTH_DELIMITED = 2;
/** What bytes that are no UTF-8 are read as. */
const REPLACEMENT = '\ufffd';
/** A tag of five bytes at most, and a number of ten. */
const FIELD_HEAD_BYTES_MAX = 15;

export type FieldHandler = (field: number, reader: ProtoReader) => void;

/**
 * Reads one protobuf message without copying: bytes are views of the input. What it is asked for must be there in the
 * form in which it is asked for, else `MalformedMessage` is thrown; nothing is read beyond the message.
 */
export class ProtoReader {
  private position: number;
  private wireType = NUMBER;

  constructor(
    private readonly bytes: Buffer,
    start = 0,
    private end = bytes.length,
  ) {
    this.position = start;
  }

  /** Calls `handler` for each field; what it does not consume is skipped. */
  forEach(handler: FieldHandler): void {
    while (this.position < this.end) {
      const tag = this.number();
      if (tag >= TWO_32 || tag < 8) throw new MalformedMessage('a field has a number that no field has');
      this.wireType = tag & 7;
      const before = this.position;
      handler(tag >>> 3, this);
      if (this.position === before) this.skip();
    }
  }

  /** Exact up to 2^53; above that the nearest number, and 2^64-1 reads as more than any safe integer. */
  varint(): number {
    this.expect(NUMBER);
    return this.number();
  }

  /** All 64 bits, for identifiers. */
  bits64(): bigint {
    this.expect(NUMBER);
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new MalformedMessage('a number has more than ten bytes');
  }

  /** As decimal text: all 64 bits, and no big number for what fits a JavaScript one. */
  unsignedText(): string {
    const start = this.position;
    const value = this.varint();
    if (value <= Number.MAX_SAFE_INTEGER) return String(value);
    this.position = start;
    return this.bits64().toString(10);
  }

  view(): Buffer {
    const start = this.delimited();
    return this.bytes.subarray(start, this.position);
  }

  text(): string {
    const start = this.delimited();
    const text = this.bytes.toString('utf8', start, this.position);
    // Otherwise different bytes would name the same stream.
    if (text.includes(REPLACEMENT) && !isUtf8(this.bytes.subarray(start, this.position))) {
      throw new MalformedMessage('a text is not UTF-8');
    }
    return text;
  }

  /** Reads the field as a nested message. */
  message(handler: FieldHandler): void {
    const start = this.delimited();
    const outerEnd = this.end;
    this.end = this.position;
    this.position = start;
    this.forEach(handler);
    this.position = this.end;
    this.end = outerEnd;
  }

  private expect(wireType: number): void {
    if (this.wireType !== wireType) throw new MalformedMessage('a field has another type than it should');
  }

  /** Goes beyond the field that comes now; @returns where its content begins */
  private delimited(): number {
    this.expect(LENGTH_DELIMITED);
    const length = this.number();
    const start = this.position;
    if (length > this.end - start) throw new MalformedMessage('a field is longer than its message');
    this.position = start + length;
    return start;
  }

  private number(): number {
    let byte = this.byte();
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let factor = 128;
    for (let count = 1; count < 10; count += 1) {
      byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 128;
    }
    throw new MalformedMessage('a number has more than ten bytes');
  }

  private byte(): number {
    if (this.position >= this.end) throw new MalformedMessage('a field is cut short');
    return this.bytes[this.position++] as number;
  }

  private skip(): void {
    if (this.wireType === NUMBER) {
      this.number();
      return;
    }
    const { wireType } = this;
    const length = wireType === LENGTH_DELIMITED ? this.number() : wireType === 1 ? 8 : wireType === 5 ? 4 : -1;
    if (length < 0 || length > this.end - this.position) throw new MalformedMessage('an unknown field cannot be skipped');
    this.position += length;
  }
}

export class MalformedMessage extends Error {
  constructor(reason: string) {
    super(`The message is not valid protobuf: ${reason}.`);
    this.name = 'MalformedMessage';
  }
}

export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size += 1;
  return size;
}

/** Writes a number below 2^53; returns the next offset. */
export function putVarint(target: Buffer, at: number, value: number): number {
  let offset = at;
  let rest = value;
  while (rest >= TWO_32) {
    target[offset++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  while (rest >= 128) {
    target[offset++] = (rest & 0x7f) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[offset++] = rest;
  return offset;
}

/** Size of a length-delimited field with a one-byte tag. */
export function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}

/** A small growing buffer for answers that are rare or short. */
export class ProtoWriter {
  private bytes = Buffer.allocUnsafe(256);
  private length = 0;

  uint(field: number, value: number): this {
    this.reserve(FIELD_HEAD_BYTES_MAX);
    this.length = putVarint(this.bytes, this.length, field << 3);
    this.length = putVarint(this.bytes, this.length, value);
    return this;
  }

  /** A decimal text of up to 64 bits, unchanged. */
  unsignedText(field: number, value: string): this {
    if (value.length < 16) return this.uint(field, Number(value));
    this.reserve(FIELD_HEAD_BYTES_MAX);
    this.length = putVarint(this.bytes, this.length, field << 3);
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 128n; rest >>= 7n) this.bytes[this.length++] = Number(rest & 0x7fn) | 0x80;
    this.bytes[this.length++] = Number(rest);
    return this;
  }

  data(field: number, value: Buffer): this {
    this.reserve(FIELD_HEAD_BYTES_MAX + value.length);
    this.length = putVarint(this.bytes, this.length, (field << 3) | 2);
    this.length = putVarint(this.bytes, this.length, value.length);
    value.copy(this.bytes, this.length);
    this.length += value.length;
    return this;
  }

  text(field: number, value: string): this {
    return this.data(field, Buffer.from(value, 'utf8'));
  }

  message(field: number, write: (nested: ProtoWriter) => void): this {
    const nested = new ProtoWriter();
    write(nested);
    return this.data(field, nested.finish());
  }

  empty(field: number): this {
    return this.data(field, EMPTY);
  }

  finish(): Buffer {
    return this.bytes.subarray(0, this.length);
  }

  private reserve(size: number): void {
    if (this.length + size <= this.bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.bytes.length * 2, this.length + size));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }
}

const EMPTY = Buffer.alloc(0);
