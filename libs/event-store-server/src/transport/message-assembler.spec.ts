import * as fc from 'fast-check';
import { frame } from '../wire/responses';
import { MESSAGE_BYTES_MAX, MessageAssembler } from './message-assembler';

const RUNS = 500;
const SEED = 20_260_101;

function assembled(chunks: readonly Buffer[]): readonly string[] {
  const messages: string[] = [];
  const assembler = new MessageAssembler();
  for (const chunk of chunks) assembler.receive(chunk, (message) => messages.push(message.toString('hex')) > 0);
  return messages;
}

it('finds the same messages in whatever chunks they come', () => {
  const message = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  const property = fc.property(fc.array(message), fc.infiniteStream(fc.integer({ min: 1, max: 30 })), (messages, sizes) => {
    const bytes = Buffer.concat(messages.map((each) => frame(each)));
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length;) {
      const size = sizes.next().value as number;
      chunks.push(bytes.subarray(at, at + size));
      at += size;
    }
    expect(assembled(chunks)).toEqual(messages.map((each) => each.toString('hex')));
  });
  fc.assert(property, { numRuns: RUNS, seed: SEED });
});

it('copies a large message that comes byte by byte a bounded number of times', () => {
  const message = Buffer.alloc(1024 * 1024, 7);
  const bytes = frame(message);
  const chunks = Array.from({ length: bytes.length }, (_, at) => bytes.subarray(at, at + 1));
  expect(assembled(chunks)).toEqual([message.toString('hex')]);
});

it('does not believe the length that a message claims', () => {
  const assembler = new MessageAssembler();
  const before = process.memoryUsage().arrayBuffers;
  const claim = Buffer.alloc(6);
  claim.writeUInt32BE(MESSAGE_BYTES_MAX, 1);
  assembler.receive(claim, () => true);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1024 * 1024);
});

it.each([
  ['a compressed message', [1, 0, 0, 0, 0]],
  ['a message over the limit', [0, 1, 0, 0, 1]],
])('refuses %s', (_, header) => {
  expect(() => assembled([Buffer.from(header)])).toThrow(/Compressed messages|the limit is/);
  expect(() => assembled(header.map((byte) => Buffer.from([byte])))).toThrow(/Compressed messages|the limit is/);
});

it('stops when no more is wanted', () => {
  let count = 0;
  new MessageAssembler().receive(Buffer.concat([frame(Buffer.alloc(1)), frame(Buffer.alloc(2))]), () => {
    count += 1;
    return false;
  });
  expect(count).toBe(1);
});
