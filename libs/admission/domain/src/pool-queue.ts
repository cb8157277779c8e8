import type { Heartbeat } from '@perdure/run-contract';
import type { RunRecord } from './run-record';
import type { Placement } from './workers';

/** Runs that may wait in one pool of one tenant: 100,000 at 250 bytes; beyond it, waiting is refused, never silent. */
export const QUEUE_MAX = 100_000;

interface Waiting {
  readonly record: RunRecord;
  readonly ticket: number;
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
 * The queue of one pool of one tenant. Runs of a name that no worker can take block no others: each name has a line of
 * its own, and the oldest head that can be placed goes first.
 */
export class PoolQueue {
  private readonly lines = new Map<string, Line>();
  private readonly members = new Map<RunRecord, number>();

  constructor(private readonly max: number = QUEUE_MAX) {}

  get length(): number {
    return this.members.size;
  }

  /** Only runs that have never begun are refused: the others hold results that somebody paid for. */
  isFullFor(record: RunRecord): boolean {
    return record.fresh && this.members.size >= this.max;
  }

  add(record: RunRecord): void {
    if (this.members.get(record) === record.ticket) return;
    this.members.set(record, record.ticket);
    const line = this.lines.get(record.name) ?? { arrivals: [], head: 0, returned: [] };
    this.lines.set(record.name, line);
    const waiting = { record, ticket: record.ticket };
    const last = line.arrivals.at(-1);
    if (last === undefined || last.ticket < waiting.ticket) line.arrivals.push(waiting);
    else insertByTicket(line.returned, waiting);
  }

  remove(record: RunRecord): void {
    this.members.delete(record);
  }

  /** Takes the next run that `pick` finds a worker for out of the queue. */
  next(pick: (record: RunRecord) => Placement): PlacedRun | undefined {
    const heads = [...this.lines.values()].map((line) => this.headOf(line)).filter((head) => head !== undefined);
    heads.sort((left, right) => left.ticket - right.ticket);
    for (const { record } of heads) {
      const placement = pick(record);
      if (!('worker' in placement)) continue;
      this.members.delete(record);
      return { record, worker: placement.worker };
    }
    return undefined;
  }

  /** The youngest of those that have never begun: refused first when there are too many. */
  *excess(): Generator<RunRecord> {
    let over = this.members.size - this.max;
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

  /** 1 = the next of its name. */
  positionOf(record: RunRecord): number {
    let ahead = 0;
    for (const [other, ticket] of this.members) if (other.name === record.name && ticket < record.ticket) ahead += 1;
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
    return waiting !== undefined && this.members.get(waiting.record) === waiting.ticket;
  }
}

/** Entries already served that a line may keep before it is compacted. */
const COMPACT_AT = 1_024;

function compact(line: Line): void {
  line.arrivals.splice(0, line.head);
  line.head = 0;
}

function insertByTicket(list: Waiting[], waiting: Waiting): void {
  let place = list.length;
  while (place > 0 && (list[place - 1]?.ticket ?? 0) > waiting.ticket) place -= 1;
  list.splice(place, 0, waiting);
}
