import * as fc from 'fast-check';
import { MalformedMessage, ProtoReader, ProtoWriter } from './protobuf';

const RUNS = 2_000;
const SEED = 20_260_101;

/** Asks for every field in every form, as deep as the message claims to be nested. */
function readAll(bytes: Buffer): void {
  const visit = (depth: number) => (field: number, reader: ProtoReader) => {
    if (field % 6 === 0) reader.varint();
    else if (field % 6 === 1) reader.text();
    else if (field % 6 === 2) reader.view();
    else if (field % 6 === 3) reader.unsignedText();
    else if (field % 6 === 4 && depth < 100) reader.message(visit(depth + 1));
  };
  new ProtoReader(bytes).forEach(visit(0));
}

function numberIn(...bytes: readonly number[]): number {
  let value = -1;
  new ProtoReader(Buffer.from([0x08, ...bytes])).forEach((_, reader) => {
    value = reader.varint();
  });
  return value;
}

describe('bytes that anybody may send', () => {
  it('are read, or refused as malformed, and nothing else', () => {
    const outcomeOf = (bytes: Buffer): void => {
      try {
        readAll(bytes);
      } catch (error) {
        if (!(error instanceof MalformedMessage)) throw error;
      }
    };
    const bytes = fc.uint8Array({ maxLength: 64 }).map((array) => Buffer.from(array));
    fc.assert(fc.property(bytes, outcomeOf), { numRuns: RUNS, seed: SEED });
  });

  it.each<[string, readonly number[]]>([
    ['a number without an end', [0x30, 0xff]],
    ['a number of eleven bytes', [0x30, ...Array.from({ length: 10 }, () => 0xff), 0x01]],
    ['a length beyond the message', [0x0a, 0x05, 0x61]],
    ['a length of 2^63', [0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    ['a nested length beyond its message', [0x22, 0x03, 0x0a, 0x05, 0x61]],
    ['a text where a number belongs', [0x32, 0x01, 0x61]],
    ['a number where a text belongs', [0x08, 0x01]],
    ['a number where a message belongs', [0x20, 0x01]],
    ['a group', [0x0b, 0x0c]],
    ['field number 0', [0x02, 0x00]],
    ['a tag beyond 32 bits', [0x82, 0x80, 0x80, 0x80, 0x80, 0x01, 0x00]],
    ['an unknown field that is cut short', [0x29, 0x01]],
    ['a text that is not UTF-8', [0x0a, 0x02, 0xc3, 0x28]],
    ['half a surrogate pair', [0x0a, 0x03, 0xed, 0xa0, 0x80]],
  ])('are refused: %s', (_, bytes) => {
    expect(() => readAll(Buffer.from(bytes))).toThrow(MalformedMessage);
  });

  it('may hold any text that is one, also the sign that stands for bytes that are none', () => {
    const texts: string[] = [];
    const sent = new ProtoWriter().text(1, 'a\ufffdé😀\0').finish();
    new ProtoReader(sent).forEach((_, reader) => void texts.push(reader.text()));
    expect(texts).toEqual(['a\ufffdé😀\0']);
  });

  it('may hold numbers of every size, negative ones, too', () => {
    expect(numberIn(0x00)).toBe(0);
    expect(numberIn(0x80, 0x00)).toBe(0);
    expect(numberIn(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f)).toBe(Number.MAX_SAFE_INTEGER);
    expect(numberIn(...Array.from({ length: 9 }, () => 0xff), 0x01)).toBeGreaterThan(Number.MAX_SAFE_INTEGER);
  });
});
