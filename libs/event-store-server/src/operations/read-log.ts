import { type RawEvent, decodeRecordedEvent } from '@perdure/platform-event-store-wire';
import { EventStoreServerError } from '../errors';
import { recordedEventOf } from '../store/record';
import { logParts } from './scan-log';

/**
 * The events of a log in their order, also while a server serves it: what was acknowledged before it began, and
 * perhaps some more. Nothing is read ahead; the bytes are the caller's.
 * @throws EventStoreServerError `NoEventLog`, `UnknownFormatVersion`, `LogCorrupt`
 */
export function* readLog(folder: string): Generator<RawEvent, void> {
  // An append counts only when its last record is there.
  let append: RawEvent[] = [];
  for (const part of logParts(folder)) {
    if ('badRange' in part) {
      if (part.badRange.isTail) return;
      throw damaged(folder, part.badRange);
    }
    append.push(decodeRecordedEvent(Buffer.from(recordedEventOf(part.record.bytes))));
    if (!part.record.endsAppend) continue;
    yield* append;
    append = [];
  }
}

function damaged(folder: string, { from, to }: { readonly from: number; readonly to: number }): EventStoreServerError {
  return new EventStoreServerError(
    'LogCorrupt',
    `Bytes ${from} to ${to} of the log in ${folder} are no intact records: see what else is damaged with \`perdure store verify\`, and restore a backup.`,
  );
}
