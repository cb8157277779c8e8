import type { ReadRequest, Start } from '../wire/requests';
import type { EventIndex } from './event-index';
import { PAGE_BYTES, PAGE_EVENTS, Page } from './event-pages';
import { FilterMatcher } from './event-filter';
import { isHiddenInLog } from './hidden-streams';
import type { StoreEngine } from './store-engine';
import type { StreamEntry } from './stream-entry';
import { ageCheck, visibleRange } from './visible-range';

const CONSIDERED_PER_PAGE = 4096;

/** Pages until there is none; a page ends with the event that reaches `bytes`. */
export type PageSource = (bytes?: number) => Page | undefined;

export class InvalidPosition extends Error {
  constructor() {
    super('invalid position: no event begins there.');
    this.name = 'InvalidPosition';
  }
}

/** What may be read of a stream; an end that is not durable yet has not happened. */
export function openStream(engine: StoreEngine, name: string): StreamEntry | 'missing' | 'deleted' {
  const stream = engine.index.find(name);
  if (stream === undefined) return 'missing';
  const { visible } = engine.index;
  if (stream.isTombstoned && stream.tombstone < visible) return 'deleted';
  return stream.isSoftDeleted || stream.visibleEnd(visible) === 0 ? 'missing' : stream;
}

export function streamReader(engine: StoreEngine, stream: StreamEntry, request: ReadRequest): PageSource {
  const { first, end } = visibleRange(engine, stream);
  const isYoung = ageCheck(engine, stream);
  const step = request.backwards ? -1 : 1;
  let revision = startRevision(request, { first, end });
  let left = request.limit;
  return (bytes = PAGE_BYTES) => {
    const page = new Page(engine, { events: Math.min(left, PAGE_EVENTS), bytes });
    // A scavenge may have taken away what was there when the read began.
    if (!request.backwards) revision = Math.max(revision, stream.firstRevision);
    while (left > 0 && !page.isFull && revision >= Math.max(first, stream.firstRevision) && revision < end) {
      const event = stream.event(revision);
      revision += step;
      if (isYoung !== undefined && !isYoung(event)) continue;
      page.add(event);
      left -= 1;
    }
    return page.events.length === 0 ? undefined : page;
  };
}

function startRevision({ from, backwards }: ReadRequest, range: { readonly first: number; readonly end: number }): number {
  if (from === 'start') return backwards ? 0 : range.first;
  if (from === 'end') return backwards ? range.end - 1 : range.end;
  return backwards ? Math.min(from.at, range.end - 1) : Math.max(from.at, range.first);
}

/** Forwards from a position is inclusive; backwards is what ended at or before it. */
export function logReader(engine: StoreEngine, request: ReadRequest): PageSource {
  const { index } = engine;
  const matcher = request.filter === undefined ? undefined : new FilterMatcher(index, request.filter);
  const step = request.backwards ? -1 : 1;
  let event = startEvent(engine, request.from);
  if (request.backwards) event -= 1;
  let left = request.limit;
  return (bytes = PAGE_BYTES) => {
    const page = new Page(engine, { events: Math.min(left, PAGE_EVENTS), bytes });
    while (left > 0 && !page.isFull && event >= 0 && event < index.visible) {
      const current = event;
      event += step;
      if (!isShown(index, current) || (matcher !== undefined && !matcher.matches(current))) continue;
      page.add(current);
      left -= 1;
    }
    return page.events.length === 0 ? undefined : page;
  };
}

/** It is there, and for readers of the whole log. */
export function isShown(index: EventIndex, event: number): boolean {
  return !index.columns.isRemoved(event) && !isHiddenInLog(index.streamOf(event).name);
}

/** @throws InvalidPosition when `from` lies inside the log but no record begins there */
export function startEvent(engine: StoreEngine, from: Start): number {
  const { index } = engine;
  if (from === 'start') return 0;
  if (from === 'end') return index.visible;
  const { columns } = index;
  const event = columns.firstAtOrAfter(from.at);
  if (event < columns.count && columns.position(event) !== from.at) {
    // Between two records that are not neighbours lies what was scavenged: a place there was one once.
    if (event > 0 && columns.position(event - 1) + columns.length(event - 1) > from.at) throw new InvalidPosition();
  }
  return Math.min(event, index.visible);
}

/** What a subscription yields each time it is asked. */
export interface SubscriptionStep {
  readonly page: Page | undefined;
  /** Position of a due checkpoint. */
  readonly checkpoint: number | undefined;
  readonly atHead: boolean;
}

export interface SubscriptionSource {
  next(isLive: boolean, bytes?: number): SubscriptionStep;
  /** The stream ended for ever, and everything before that was yielded. */
  readonly isTombstoned: boolean;
}

export function streamSubscription(engine: StoreEngine, stream: StreamEntry, from: Start): SubscriptionSource {
  let next = from === 'start' ? 0 : from === 'end' ? stream.visibleEnd(engine.index.visible) : from.at + 1;
  let isEnded = false;
  const endsWith = (page: Page): void => {
    if (stream.isTombstoned && stream.tombstone < engine.index.visible && !page.isFull) {
      page.add(stream.tombstone);
      isEnded = true;
    }
  };
  return {
    get isTombstoned() {
      return isEnded;
    },
    next(_isLive, bytes = PAGE_BYTES) {
      const { first, end } = visibleRange(engine, stream);
      const isYoung = ageCheck(engine, stream);
      const page = new Page(engine, { bytes });
      next = Math.max(next, first);
      while (next < end && !page.isFull) {
        const event = stream.event(next);
        next += 1;
        if (isYoung === undefined || isYoung(event)) page.add(event);
      }
      if (next >= end) endsWith(page);
      return { page: page.events.length === 0 ? undefined : page, checkpoint: undefined, atHead: next >= end };
    },
  };
}

export function logSubscription(engine: StoreEngine, request: ReadRequest): SubscriptionSource {
  const { index } = engine;
  const { filter } = request;
  const matcher = filter === undefined ? undefined : new FilterMatcher(index, filter);
  const interval = filter?.checkpointInterval ?? Number.POSITIVE_INFINITY;
  let next = startEvent(engine, request.from);
  const after = typeof request.from === 'object' ? request.from.at : -1;
  let considered = 0;
  let lastCheckpoint = after;
  // Exclusive: the event at the position given was seen, and a log may be shorter than it once was.
  const isWanted = (event: number): boolean =>
    index.columns.position(event) > after && isShown(index, event) && (matcher === undefined || matcher.matches(event));
  const due = (): number | undefined => {
    const position = next === 0 ? -1 : index.columns.position(next - 1);
    considered = 0;
    if (position <= lastCheckpoint) return undefined;
    lastCheckpoint = position;
    return position;
  };
  return {
    isTombstoned: false,
    next(isLive, bytes = PAGE_BYTES) {
      const page = new Page(engine, { bytes });
      const stop = Math.min(index.visible, next + CONSIDERED_PER_PAGE);
      while (next < stop && !page.isFull && !(isLive && considered >= interval)) {
        if (isWanted(next)) page.add(next);
        next += 1;
        considered += 1;
      }
      const atHead = next >= index.visible;
      const isDue = filter !== undefined && (considered >= interval || (atHead && !isLive));
      return { page: page.events.length === 0 ? undefined : page, checkpoint: isDue ? due() : undefined, atHead };
    },
  };
}
