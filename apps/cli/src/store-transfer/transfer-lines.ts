import { createHash } from 'node:crypto';
import { NotATransfer, TransferCutOff, TransferDamaged } from './transfer.errors';
import { type TransferEnd, type TransferItem, isEnd, isHeader, itemOf } from './transfer-format';

/** The largest event of any server has 16 MiB; base64 and escapes at most double it. */
const LINE_BYTES_MAX = 64 * 1024 * 1024;
const LINE_FEED = 0x0a;

/**
 * Reads a transfer at the pace of whoever takes its items, and checks it to its last line.
 * @throws NotATransfer, TransferDamaged, TransferCutOff
 */
export async function* transferItems(source: AsyncIterable<Buffer>): AsyncGenerator<TransferItem, TransferEnd> {
  const hash = createHash('sha256');
  let line = 0;
  let [events, tombstones] = [0, 0];
  let end: TransferEnd | undefined;
  for await (const bytes of linesOf(source)) {
    line += 1;
    if (end !== undefined) throw new TransferDamaged(line, 'something follows the last line');
    const value = parsed(bytes, line);
    if (line === 1) {
      if (!isHeader(value)) throw new NotATransfer('its first line is not the header of this version');
    } else if (isEnd(value)) {
      end = value;
      continue;
    } else {
      const item = itemOf(value);
      if (item === undefined) throw new TransferDamaged(line, 'it is no event');
      if (item.kind === 'event') events += 1;
      else tombstones += 1;
      yield item;
    }
    hash.update(bytes).update('\n');
  }
  if (line === 0) throw new NotATransfer('it is empty');
  if (end === undefined) throw new TransferCutOff(line);
  if (end.events !== events || end.tombstones !== tombstones) throw new TransferDamaged(line, 'lines are missing');
  if (end.sha256 !== hash.digest('hex')) throw new TransferDamaged(line, 'the checksum is another');
  return end;
}

function parsed(bytes: Buffer, line: number): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    throw line === 1 ? new NotATransfer('its first line is not JSON') : new TransferDamaged(line, 'it is not JSON');
  }
}

/** What follows the last line feed is a line that was cut off: it is none. */
async function* linesOf(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void> {
  let rest: Buffer[] = [];
  let restBytes = 0;
  for await (const chunk of source) {
    let start = 0;
    for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, start)) {
      const last = chunk.subarray(start, at);
      yield rest.length === 0 ? last : Buffer.concat([...rest, last]);
      [rest, restBytes] = [[], 0];
      start = at + 1;
    }
    if (start === chunk.length) continue;
    rest.push(chunk.subarray(start));
    restBytes += chunk.length - start;
    if (restBytes > LINE_BYTES_MAX) throw new NotATransfer('a line is longer than any event');
  }
}
