import { recordedEventOf } from '../store/record';
import { dataOfRecordedEvent } from '../wire/recorded-event';
import type { StoreEngine } from './store-engine';
import { visibleRange } from './visible-range';

/** Type of the events that stand for another one; their data is `revision@stream`. */
export const LINK_TYPE = '$>';
const LINK = /^(\d{1,15})@(.+)$/s;

/** Whether the reader may read a stream. */
export type MayRead = (stream: string) => boolean;

/** What a link says it stands for; undefined when it says nothing that can be understood. */
export function linkedPlace(link: Buffer): { readonly revision: number; readonly stream: string } | undefined {
  const [, revision, stream] = LINK.exec(dataOfRecordedEvent(recordedEventOf(link)).toString('utf8')) ?? [];
  return stream === undefined ? undefined : { revision: Number(revision), stream };
}

/** The event that a link stands for; undefined when it is not, or no longer, to be read. */
export function linkTarget(engine: StoreEngine, link: Buffer, mayRead?: MayRead): number | undefined {
  const place = linkedPlace(link);
  const stream = place === undefined ? undefined : engine.index.find(place.stream);
  if (place === undefined || stream === undefined || stream.isTombstoned) return undefined;
  if (mayRead?.(stream.name) === false) return undefined;
  const { revision } = place;
  const { first, end } = visibleRange(engine, stream);
  return revision >= first && revision < end ? stream.event(revision) : undefined;
}
