import type { ClosedSegment } from './segment-indexer';
import type { StoreEngine } from './store-engine';
import type { StreamEntry } from './stream-entry';
import { ageCheck, visibleRange } from './visible-range';

// What a scavenge takes away: events that no reader of their stream can see any more.
//
// 1. Of a stream only the oldest events go, one after the other, so that what is left is a row without holes.
// 2. The last event of a stream stays, also of a deleted one: revisions continue after it. Of a stream that ended for
//    ever the tombstone stays.
// 3. Groups are rewritten oldest first, so that 1 holds wherever a scavenge is cut off.

const STREAMS_A_TURN = 2_048;
const EVENTS_A_TURN = 65_536;

/** Neighbouring segments that become one file. */
export interface ScavengeGroup {
  readonly segments: readonly ClosedSegment[];
  readonly removableEvents: number;
  readonly removableBytes: number;
}

export interface ScavengePlan {
  readonly groups: readonly ScavengeGroup[];
  readonly isRemovable: (event: number) => boolean;
  /** Of the closed segments. */
  readonly bytes: number;
  readonly removableBytes: number;
}

/** One bit an event. */
class EventMarks {
  private readonly bits: Uint32Array;

  constructor(count: number) {
    this.bits = new Uint32Array((count >>> 5) + 1);
  }

  add(event: number): void {
    this.bits[event >>> 5] = (this.bits[event >>> 5] as number) | (1 << (event & 31));
  }

  has(event: number): boolean {
    return ((this.bits[event >>> 5] ?? 0) & (1 << (event & 31))) !== 0;
  }
}

export interface PlanOptions {
  readonly engine: StoreEngine;
  readonly closed: readonly ClosedSegment[];
  /** Segments are put together up to this size. */
  readonly segmentBytes: number;
}

/**
 * In parts, so that the caller may let others have their turn in between.
 * @throws EventDamaged when the age of an event cannot be read
 */
export function* planScavenge({ engine, closed, segmentBytes }: PlanOptions): Generator<void, ScavengePlan> {
  const endEvent = closed[closed.length - 1]?.endEvent ?? 0;
  const marks = new EventMarks(endEvent);
  let looked = 0;
  for (const stream of engine.index.writtenStreams()) {
    mark(engine, stream, { marks, endEvent });
    looked += 1;
    if (looked % STREAMS_A_TURN === 0) yield;
  }
  const isRemovable = (event: number): boolean => marks.has(event);
  const weighed: Weighed[] = [];
  for (const segment of closed) weighed.push(yield* weigh(engine, segment, isRemovable));
  const total = (of: (each: Weighed) => number): number => weighed.reduce((sum, each) => sum + of(each), 0);
  return {
    groups: grouped(weighed, segmentBytes),
    isRemovable,
    bytes: total((each) => each.keptBytes + each.removableBytes),
    removableBytes: total((each) => each.removableBytes),
  };
}

function mark(
  engine: StoreEngine,
  stream: StreamEntry,
  { marks, endEvent }: { readonly marks: EventMarks; readonly endEvent: number },
): void {
  const keptFrom = firstKept(engine, stream);
  for (let revision = stream.firstRevision; revision < keptFrom; revision += 1) {
    const event = stream.event(revision);
    if (event >= endEvent) return;
    marks.add(event);
  }
}

/** Revision of the first event that stays. */
function firstKept(engine: StoreEngine, stream: StreamEntry): number {
  if (stream.isEmpty) return stream.firstRevision;
  if (stream.isTombstoned && stream.tombstone < engine.index.visible) return stream.lastRevision + 1;
  const { first, end } = visibleRange(engine, stream);
  const isYoung = ageCheck(engine, stream);
  let kept = Math.min(first, end - 1);
  while (isYoung !== undefined && kept < end - 1 && !isYoung(stream.event(kept))) kept += 1;
  return kept;
}

interface Weighed {
  readonly segment: ClosedSegment;
  readonly keptBytes: number;
  readonly removableBytes: number;
  readonly removableEvents: number;
}

function* weigh(engine: StoreEngine, segment: ClosedSegment, isRemovable: (event: number) => boolean): Generator<void, Weighed> {
  const { columns } = engine.index;
  let keptBytes = 0;
  let removableBytes = 0;
  let removableEvents = 0;
  for (let event = segment.firstEvent; event < segment.endEvent; event += 1) {
    if (isRemovable(event)) {
      removableBytes += columns.length(event);
      removableEvents += 1;
    } else keptBytes += columns.length(event);
    if (event % EVENTS_A_TURN === 0) yield;
  }
  return { segment, keptBytes, removableBytes, removableEvents };
}

/** A group of one segment of which nothing goes is left as it is. */
function grouped(weighed: readonly Weighed[], segmentBytes: number): readonly ScavengeGroup[] {
  const groups: Weighed[][] = [];
  let keptBytes = Number.POSITIVE_INFINITY;
  for (const each of weighed) {
    if (keptBytes + each.keptBytes > segmentBytes) {
      groups.push([]);
      keptBytes = 0;
    }
    groups[groups.length - 1]?.push(each);
    keptBytes += each.keptBytes;
  }
  return groups
    .map((group) => ({
      segments: group.map(({ segment }) => segment),
      removableEvents: group.reduce((sum, each) => sum + each.removableEvents, 0),
      removableBytes: group.reduce((sum, each) => sum + each.removableBytes, 0),
    }))
    .filter(({ segments, removableEvents }) => removableEvents > 0 || segments.length > 1);
}
