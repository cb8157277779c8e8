import { type ProtoReader } from '@perdure/platform-event-store-wire';

export const ID_BYTES = 16;
export const ID_TEXT_BYTES = 36;

const HEX = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, '0'));
const DASH_AFTER = new Set([3, 5, 7, 9]);
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Undefined when the text is not a UUID. */
export function idFromText(text: string): Buffer | undefined {
  if (!UUID.test(text)) return undefined;
  return Buffer.from(text.replaceAll('-', ''), 'hex');
}

export function idToText(bytes: Buffer): string {
  let text = '';
  for (let index = 0; index < ID_BYTES; index += 1) {
    text += HEX[bytes[index] as number];
    if (DASH_AFTER.has(index)) text += '-';
  }
  return text;
}

/** The UUID message: a text, or two signed 64-bit halves. Undefined when it is neither, or empty. */
export function readId(reader: ProtoReader): Buffer | undefined {
  let id: Buffer | undefined;
  reader.message((field, inner) => {
    if (field === 2) id = idFromText(inner.text());
    else if (field === 1) id = readStructured(inner);
  });
  return id === undefined || isEmptyId(id) ? undefined : id;
}

function readStructured(reader: ProtoReader): Buffer {
  const bytes = Buffer.alloc(ID_BYTES);
  reader.message((field, inner) => {
    if (field === 1 || field === 2) bytes.writeBigUInt64BE(inner.bits64(), (field - 1) * 8);
  });
  return bytes;
}

function isEmptyId(id: Buffer): boolean {
  return id.every((byte) => byte === 0);
}
