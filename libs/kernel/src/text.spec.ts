import { fitsInto, utf8Bytes } from './text';

it.each(['', 'a', 'é', '€', '😀', 'aé€😀'.repeat(50)])('%j has the bytes that it has on the wire', (text) => {
  const bytes = Buffer.byteLength(text);
  expect(utf8Bytes(text)).toBe(bytes);
  expect([fitsInto(bytes, text), fitsInto(bytes - 1, text)]).toEqual([true, false]);
});
