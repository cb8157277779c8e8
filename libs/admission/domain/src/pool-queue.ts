import type { Heartbeat } from '@perdure/run-contract';
import type { RunRecord } from './run-record';
import type { Placement } from './workers';

/** Runs that may wait in one pool of one tenant: 100,000 at 250 bytes; beyond it, waiting is refused, never silent. */
export const QUEUE_MAX = 100_000;

interface Member {
  readonly ticket: number;
  readonly build: string | undefined;
}

interface Waiting extends Member {
  readonly record: RunRecord;
}

/** First come first served, but those that came back keep the place they had. */
interface Line {
  readonly arrivals: Waiting[];
  head: number;
  /** Ordered by ticket; as many as there are releases under way. */
  readonly returned: Waiting[];
}

export interface PlacedRun {
  readonly record: RunRecord;
  readonly worker: Heartbeat;
}

/**
 * The queue of one pool of one tenant. Runs that no worker can take block no others: each name, and each build that
 * runs of it are pinned to, has a line of its own, and the oldest head that can be placed goes first. What is pinned
 * takes no room from what is new: it may wait for a build that never comes back.
 */
export class PoolQueue {
  private readonly lines = new Map<string, Line>();
  private readonly members = new Map<RunRecord, Member>();
  private unpinned = 0;

  constructor(private readonly max: number = QUEUE_MAX) {}

  get length(): number {
    return this.members.size;
  }

  /** Only runs that have never begun are refused: the others hold results that somebody paid for. */
  isFullFor(record: RunRecord): boolean {
    return record.fresh && this.unpinned >= this.max;
  }

  add(record: RunRecord): void {
    const { ticket, build } = record;
    const known = this.members.get(record);
    if (known?.ticket === ticket && known.build === build) return;
    this.remove(record);
    this.members.set(record, { ticket, build });
    if (build === undefined) this.unpinned += 1;
    const key = lineKey(record);
    const line = this.lines.get(key) ?? { arrivals: [], head: 0, returned: [] };
    this.lines.set(key, line);
    const waiting = { record, ticket, build };
    const last = line.arrivals.at(-1);
    if (last === undefined || last.ticket < waiting.ticket) line.arrivals.push(waiting);
    else insertByTicket(line.returned, waiting);
  }

  remove(record: RunRecord): void {
    const member = this.members.get(record);
    if (member === undefined) return;
    this.members.delete(record);
    if (member.build === undefined) this.unpinned -= 1;
  }

  /** Takes the next run that `pick` finds a worker for out of the queue. */
  next(pick: (record: RunRecord) => Placement): PlacedRun | undefined {
    const heads: Waiting[] = [];
    for (const [key, line] of this.lines) {
      const head = this.headOf(line);
      if (head === undefined) this.lines.delete(key);
      else heads.push(head);
    }
    heads.sort((left, right) => left.ticket - right.ticket);
    for (const { record } of heads) {
      const placement = pick(record);
      if (!('worker' in placement)) continue;
      this.remove(record);
      return { record, worker: placement.worker };
    }
    return undefined;
  }

  /** The youngest of those that have never begun: refused first when there are too many. */
  *excess(): Generator<RunRecord> {
    let over = this.unpinned - this.max;
    if (over <= 0) return;
    const fresh = [...this.members.keys()].filter((record) => record.fresh).sort((left, right) => right.ticket - left.ticket);
    for (const record of fresh) {
      if (over <= 0) return;
      over -= 1;
      yield record;
    }
  }

  has(record: RunRecord): boolean {
    return this.members.has(record);
  }

  /** 1 = the next of its name and build. */
  positionOf(record: RunRecord): number {
    let ahead = 0;
    for (const [other, { ticket, build }] of this.members)
      if (other.name === record.name && build === record.build && ticket < record.ticket) ahead += 1;
    return ahead + 1;
  }

  private headOf(line: Line): Waiting | undefined {
    while (line.returned[0] !== undefined && !this.isMember(line.returned[0])) line.returned.shift();
    while (line.head < line.arrivals.length && !this.isMember(line.arrivals[line.head])) line.head += 1;
    if (line.head > COMPACT_AT && line.head * 2 > line.arrivals.length) compact(line);
    const [arrival, returned] = [line.arrivals[line.head], line.returned[0]];
    if (arrival === undefined || returned === undefined) return arrival ?? returned;
    return returned.ticket < arrival.ticket ? returned : arrival;
  }

  private isMember(waiting: Waiting | undefined): boolean {
    if (waiting === undefined) return false;
    const member = this.members.get(waiting.record);
    return member?.ticket === waiting.ticket && member.build === waiting.build;
  }
}

/** Entries already served that a line may keep before it is compacted. */
const COMPACT_AT = 1_024;

function compact(line: Line): void {
  line.arrivals.splice(0, line.head);
  line.head = 0;
}

function lineKey({ name, build }: RunRecord): string {
  return build === undefined ? name : `${name}\n${build}`;
}

function insertByTicket(list: Waiting[], waiting: Waiting): void {
  let place = list.length;
  while (place > 0 && (list[place - 1]?.ticket ?? 0) > waiting.ticket) place -= 1;
  list.splice(place, 0, waiting);
}
