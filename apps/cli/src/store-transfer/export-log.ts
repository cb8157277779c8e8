import { createHash } from 'node:crypto';
import type { RawEvent } from '@perdure/platform-event-store-esdb';
import { isMetastream, isOfPlaces, isOfServer } from './system-streams';
import { type TransferCounts, endLine, eventLine, headerLine } from './transfer-format';

/** Few writes, and no more than this is held at a time. */
const CHUNK_CHARACTERS = 256 * 1024;

export interface ExportOptions {
  /** For people: where the events come from. */
  readonly source: string;
  readonly nowMs: number;
}

export interface ExportReport extends TransferCounts {
  /** Their first revisions were scavenged: see `--fill` of the import. */
  readonly streamsCutOff: readonly string[];
  readonly sha256: string;
}

type Events = AsyncIterable<RawEvent> | Iterable<RawEvent>;

/** A log as text, at the pace of whoever takes it. It holds one number a stream. */
export async function* exportLog(events: Events, options: ExportOptions): AsyncGenerator<string, ExportReport> {
  const hash = createHash('sha256');
  const lastRevisions = new Map<string, number>();
  const cutOff = new Set<string>();
  const counts = { events: 0, tombstones: 0, systemEventsLeftOut: 0, placesLeftOut: 0 };
  let chunk = headerLine(options.source, options.nowMs);
  for await (const event of events) {
    if (isOfServer(event.stream)) {
      counts.systemEventsLeftOut += 1;
      continue;
    }
    if (isOfPlaces(event)) {
      counts.placesLeftOut += 1;
      continue;
    }
    if (event.isTombstone) counts.tombstones += 1;
    else {
      counts.events += 1;
      const isNext = event.revision === (lastRevisions.get(event.stream) ?? -1) + 1;
      if (!isNext && !isMetastream(event.stream)) cutOff.add(event.stream);
    }
    lastRevisions.set(event.stream, event.revision);
    chunk += eventLine(event);
    if (chunk.length < CHUNK_CHARACTERS) continue;
    hash.update(chunk);
    yield chunk;
    chunk = '';
  }
  const sha256 = hash.update(chunk).digest('hex');
  const total = { ...counts, streams: lastRevisions.size };
  yield chunk + endLine(total, sha256);
  return { ...total, streamsCutOff: [...cutOff], sha256 };
}
