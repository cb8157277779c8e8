import { FilterMatcher } from '../engine/event-filter';
import type { Follower, StoreEngine } from '../engine/store-engine';
import { ageCheck, visibleRange } from '../engine/visible-range';
import { bucketOfEvent, unlessDamaged } from './event-content';
import { isShown } from '../engine/readers';
import { ALL } from '../wire/persistent-requests';
import { type GroupEntry } from './group-settings';
import type { Message, Progress } from './message';
import type { ReadStep } from './persistent-group';

/** Events looked at before others get their turn. */
const CONSIDERED_PER_READ = 4096;

/** The events of a group, in order: a cursor on the index. */
export interface MessageSource {
  /** Everything up to here is settled. */
  readonly start: Progress;
  read(limit: number): ReadStep;
  /** Undefined when it is no longer to be read. */
  eventAt(place: number): number | undefined;
  follow(follower: Follower): () => void;
}

export interface SourceOptions {
  readonly engine: StoreEngine;
  readonly entry: GroupEntry;
  /** The place after which it begins. */
  readonly after: number;
}

export function messageSource(options: SourceOptions): MessageSource {
  return options.entry.source === ALL ? logSource(options) : streamSource(options);
}

function streamSource({ engine, entry, after }: SourceOptions): MessageSource {
  const { source: name, settings } = entry;
  let next = after + 1;
  const progress = (): Progress => ({ place: next - 1, ordinal: next - 1 });
  const read = (limit: number): ReadStep => {
    const messages: Message[] = [];
    const stream = engine.index.find(name);
    if (stream === undefined || stream.isTombstoned) return { messages, considered: progress(), isAtHead: true };
    const { first, end } = visibleRange(engine, stream);
    const isYoung = ageCheck(engine, stream);
    next = Math.max(next, first);
    const stop = Math.min(end, next + CONSIDERED_PER_READ);
    for (; next < stop && messages.length < limit; next += 1) {
      const event = stream.event(next);
      // The age of a damaged one is not known: who opens it will see.
      if (isYoung !== undefined && unlessDamaged(() => isYoung(event)) === false) continue;
      const bucket = bucketOfEvent(engine, event, settings);
      messages.push({ place: next, before: next - 1, ordinal: next, isReplayed: false, bucket });
    }
    return { messages, considered: progress(), isAtHead: next >= end };
  };
  return {
    start: progress(),
    read,
    eventAt(place) {
      const stream = engine.index.find(name);
      if (stream === undefined || stream.isTombstoned) return undefined;
      const { first, end } = visibleRange(engine, stream);
      return place >= first && place < end ? stream.event(place) : undefined;
    },
    follow: (follower) => engine.followStream(engine.index.enter(name), follower),
  };
}

/** Positions, not numbers of events: what lies before may be taken out of the log. */
function logSource({ engine, entry, after }: SourceOptions): MessageSource {
  const { index } = engine;
  const { settings, filter } = entry;
  const matcher = filter === undefined ? undefined : new FilterMatcher(index, filter);
  let last: Progress = { place: after, ordinal: 0 };
  const isWanted = (event: number): boolean => isShown(index, event) && (matcher === undefined || matcher.matches(event));
  const read = (limit: number): ReadStep => {
    const messages: Message[] = [];
    let event = index.columns.firstAtOrAfter(last.place + 1);
    const stop = Math.min(index.visible, event + CONSIDERED_PER_READ);
    for (; event < stop && messages.length < limit; event += 1) {
      const place = index.columns.position(event);
      const before = last.place;
      last = { place, ordinal: last.ordinal + 1 };
      if (!isWanted(event)) continue;
      messages.push({ ...last, before, isReplayed: false, bucket: bucketOfEvent(engine, event, settings) });
    }
    return { messages, considered: last, isAtHead: event >= index.visible };
  };
  return {
    start: last,
    read,
    eventAt(place) {
      const event = index.columns.firstAtOrAfter(place);
      const isThere = event < index.visible && index.columns.position(event) === place && !index.columns.isRemoved(event);
      return isThere ? event : undefined;
    },
    follow: (follower) => engine.followLog(follower),
  };
}

/** The place after which a group begins that has no checkpoint. */
export function startsAfter(engine: StoreEngine, { source, settings }: Pick<GroupEntry, 'source' | 'settings'>): number {
  const { start } = settings;
  if (start === 'start') return -1;
  if (start !== 'end') return start.at - 1;
  if (source !== ALL) return (engine.index.find(source)?.visibleEnd(engine.index.visible) ?? 0) - 1;
  const { visible, columns } = engine.index;
  return visible === 0 ? -1 : columns.position(visible - 1);
}
