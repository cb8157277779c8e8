/** Of one UTF-16 unit: most texts need not be counted. */
const UTF8_BYTES_MAX = 3;

/** Bytes of a text on the wire. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (let index = 0; index < text.length; index += 1) {
    const unit = text.charCodeAt(index);
    // Each half of a surrogate pair counts two of its four bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
  }
  return bytes;
}

/** Whether a text has no more than so many bytes on the wire. */
export function fitsInto(bytesMax: number, text: string): boolean {
  if (text.length > bytesMax) return false;
  return text.length * UTF8_BYTES_MAX <= bytesMax || utf8Bytes(text) <= bytesMax;
}
