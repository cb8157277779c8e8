import type { OpenTimer } from '@perdure/timer-contract';

// Keys that sort as what they stand for.
//
// by name: group, 0, id            by due time: due (8 bytes, ordered), group, 0, id
// A group holds no 0: all of a group lie between `group 0` and `group 1`.

const TIME_BYTES = 8;
const VALUE_BYTES = 2 * TIME_BYTES;
const SEPARATOR = 0;

interface Name {
  readonly group: string;
  readonly id: string;
}

export function nameKey({ group, id }: Name): Buffer {
  return Buffer.from(`${group}\0${id}`);
}

export function groupPrefix(group: string): Buffer {
  return Buffer.from(`${group}\0`);
}

export function endOfGroup(group: string): Buffer {
  return Buffer.from(`${group}\x01`);
}

export function dueKey(timer: OpenTimer): Buffer {
  return Buffer.concat([timeBytes(timer.value), nameKey(timer)]);
}

/** After every timer that is due at that time, before every later one. */
export function wholeTime(atMs: number): Buffer {
  return Buffer.concat([timeBytes(atMs), Buffer.of(0xff)]);
}

/** Due time and revision: by name one looks for the time, by time for the revision. */
export function valueOf({ value, revision }: OpenTimer): Buffer {
  const bytes = Buffer.allocUnsafe(VALUE_BYTES);
  bytes.writeDoubleBE(value, 0);
  bytes.writeDoubleBE(revision, TIME_BYTES);
  return bytes;
}

export function timerOfName(key: Buffer, bytes: Buffer): OpenTimer {
  const at = key.indexOf(SEPARATOR);
  const group = key.toString('utf8', 0, at);
  const id = key.toString('utf8', at + 1);
  return { group, id, revision: bytes.readDoubleBE(TIME_BYTES), value: bytes.readDoubleBE(0) };
}

export function timerOfDue(key: Buffer, bytes: Buffer): OpenTimer {
  return timerOfName(key.subarray(TIME_BYTES), bytes);
}

/** IEEE 754 orders as its bits do once the sign is flipped, and of negative numbers all other bits too. */
function timeBytes(atMs: number): Buffer {
  const bytes = Buffer.allocUnsafe(TIME_BYTES);
  bytes.writeDoubleBE(atMs, 0);
  if ((bytes.readUInt8(0) & 0x80) === 0) bytes.writeUInt8(bytes.readUInt8(0) | 0x80, 0);
  else for (let at = 0; at < TIME_BYTES; at += 1) bytes.writeUInt8(~bytes.readUInt8(at) & 0xff, at);
  return bytes;
}
