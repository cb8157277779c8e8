import { crc32 } from 'node:zlib';
import { Gaps } from './gaps';
import { putU64, readU64 } from './little-endian';

// What is left of one or more neighbouring segments: a head, then the records that stay, each byte as it was. A record
// keeps its position, so that positions and checkpoints that readers hold stay good. All numbers are little endian.
//
//   0  8 B  "PRDSCV01"         8  u32  CRC-32 of the rest of the head
//  12  u32  gaps              16  u64  position of the first byte that it stands for
//  24  u64  position after the last one          32       u64 × 2 × gaps: start and end of each
//
// 1. The file is whole and durable before it has its name; its name is durable before what it replaces is deleted.
// 2. Whatever begins inside its range and is not this file is a left-over of a scavenge that was cut off.

const MAGIC = 'PRDSCV01';
const CRC_AT = 8;
const COUNT_AT = 12;
const BASE_AT = 16;
const END_AT = 24;
const FIXED_BYTES = 32;
const GAP_BYTES = 16;

export interface ScavengedRange {
  readonly base: number;
  readonly end: number;
  readonly gaps: Gaps;
}

export function scavengedHeadBytes(gaps: Gaps): number {
  return FIXED_BYTES + GAP_BYTES * gaps.count;
}

export function encodeScavengedHead({ base, end, gaps }: ScavengedRange): Buffer {
  const head = Buffer.alloc(scavengedHeadBytes(gaps));
  head.write(MAGIC, 'latin1');
  head.writeUInt32LE(gaps.count, COUNT_AT);
  putU64(head, BASE_AT, base);
  putU64(head, END_AT, end);
  for (let gap = 0; gap < gaps.count; gap += 1) {
    putU64(head, FIXED_BYTES + GAP_BYTES * gap, gaps.start(gap));
    putU64(head, FIXED_BYTES + GAP_BYTES * gap + 8, gaps.end(gap));
  }
  head.writeUInt32LE(crc32(head.subarray(COUNT_AT)), CRC_AT);
  return head;
}

/**
 * @param read fills a buffer from the start of the file, and tells how many bytes there were
 * @returns undefined when the head is damaged
 */
export function readScavengedHead(read: (target: Buffer) => number): ScavengedRange | undefined {
  const fixed = Buffer.alloc(FIXED_BYTES);
  if (read(fixed) < FIXED_BYTES || fixed.toString('latin1', 0, CRC_AT) !== MAGIC) return undefined;
  const base = readU64(fixed, BASE_AT);
  const end = readU64(fixed, END_AT);
  const count = fixed.readUInt32LE(COUNT_AT);
  // A gap and what follows it take at least two bytes of the range: a damaged count must not fill the memory.
  if (count > (end - base) / 2) return undefined;
  const head = Buffer.alloc(FIXED_BYTES + GAP_BYTES * count);
  if (read(head) < head.length || crc32(head.subarray(COUNT_AT)) !== head.readUInt32LE(CRC_AT)) return undefined;
  const ranges = Array.from({ length: count }, (_, gap) => ({
    start: readU64(head, FIXED_BYTES + GAP_BYTES * gap),
    end: readU64(head, FIXED_BYTES + GAP_BYTES * gap + 8),
  }));
  return { base, end, gaps: Gaps.of(ranges) };
}
