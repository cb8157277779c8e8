import { InvariantViolated, type Json, type Keeper, type RecordedEvent } from '@perdure/kernel';
import { runAddress, runStream, TERMINAL_EVENT_TYPES } from '@perdure/run-contract';
import {
  isScheduleEventType,
  SCHEDULE_EVENT_TYPES,
  scheduleEventSchemas,
  scheduleStream,
  type FiringResult,
  type ScheduleAddress,
} from '@perdure/schedule-contract';
import type { ScheduleState } from '@perdure/schedule-domain';

/**
 * Which schedules there are, of every partition, and which runs each of them waits for.
 *
 * 1. The log tells that a run was decided upon before it tells its end.
 * 2. An end is held until its schedule has noted it.
 */

type Terminal = (typeof TERMINAL_EVENT_TYPES)[number];

const RESULTS: Readonly<Record<Terminal, FiringResult>> = {
  RunRefused: 'refused',
  RunCompleted: 'completed',
  RunFailed: 'failed',
  RunCancelled: 'cancelled',
  RunTimedOut: 'timed-out',
  RunTerminated: 'terminated',
};

export interface IndexNews {
  /** The log holds this fact of a schedule, whoever appended it. */
  onFact(address: ScheduleAddress, revision: number): void;
  onEnded(address: ScheduleAddress, end: EndedRun): void;
  onCaughtUp(): void;
}

export interface EndedRun {
  readonly runId: string;
  readonly result: FiringResult;
}

interface Known {
  readonly address: ScheduleAddress;
  revision: number;
  isLive: boolean;
  /** Of one that was deleted: nothing of it is left to be done. */
  isErased: boolean;
  /** By run id: how it ended, once that is known. */
  readonly runs: Map<string, FiringResult | undefined>;
}

type Stored = readonly (readonly [
  stream: string,
  revision: number,
  isLive: boolean,
  runs: readonly (readonly [string, FiringResult | null])[],
  isErased?: boolean,
])[];

export class ScheduleIndex implements Keeper {
  readonly name = 'schedules';
  readonly eventTypes: readonly string[] = [...SCHEDULE_EVENT_TYPES, ...TERMINAL_EVENT_TYPES];
  /** The log has been read to its head. */
  complete = false;
  private readonly schedules = new Map<string, Known>();
  /** By the stream of a run. */
  private readonly waiting = new Map<string, Known>();

  constructor(private readonly news: IndexNews) {}

  /** Those that have something to be looked after. */
  *all(): Iterable<ScheduleAddress> {
    for (const { address } of this.schedules.values()) yield address;
  }

  /** Those of a tenant that are there, in the order of their ids. */
  of(tenant: string): readonly ScheduleAddress[] {
    return [...this.schedules.values()]
      .filter(({ isLive, address }) => isLive && address.tenant === tenant)
      .map(({ address }) => address)
      .sort((left, right) => (left.scheduleId < right.scheduleId ? -1 : 1));
  }

  /** Ends that its schedule has not noted yet. */
  endedOf(address: ScheduleAddress): readonly EndedRun[] {
    const runs = this.schedules.get(scheduleStream.build(address))?.runs ?? [];
    return [...runs].flatMap(([runId, result]) => (result === undefined ? [] : [{ runId, result }]));
  }

  restore(index: Json | undefined): void {
    this.schedules.clear();
    this.waiting.clear();
    for (const [stream, revision, isLive, runs, isErased] of (index ?? []) as unknown as Stored) {
      const known = this.open(stream, revision);
      known.isLive = isLive;
      known.isErased = isErased === true;
      for (const [runId, result] of runs) this.await(known, runId, result ?? undefined);
    }
  }

  snapshot(): Json {
    return [...this.schedules].map(([stream, { revision, isLive, runs, isErased }]) => [
      stream,
      revision,
      isLive,
      [...runs].map(([runId, result]) => [runId, result ?? null]),
      isErased,
    ]);
  }

  caughtUp(): void {
    if (this.complete) return;
    this.complete = true;
    this.news.onCaughtUp();
  }

  apply(fact: Pick<RecordedEvent, 'stream' | 'revision' | 'type' | 'data'>): void {
    if (Object.hasOwn(RESULTS, fact.type)) this.ended(fact.stream, RESULTS[fact.type as Terminal]);
    else if (isScheduleEventType(fact.type)) this.changed(fact);
    else throw new InvariantViolated(`The index of schedules does not know ${fact.type}.`);
  }

  /** The end of a run, by whatever way. */
  ended(stream: string, result: FiringResult): void {
    const known = this.waiting.get(stream);
    if (known === undefined) return;
    const { runId } = runStream.parse(stream);
    if (known.runs.get(runId) !== undefined) return;
    known.runs.set(runId, result);
    if (this.complete) this.news.onEnded(known.address, { runId, result });
  }

  /** What this process has read or appended itself: it need not wait for the log to tell it. */
  note(address: ScheduleAddress, revision: number, state: ScheduleState): void {
    if (state.status === 'none') return;
    const known = this.open(scheduleStream.build(address), revision);
    if (known.revision > revision) return;
    known.revision = revision;
    known.isLive = state.status === 'live';
    known.isErased = state.erased === true;
    const open = new Set(state.open.map(({ runId }) => runId));
    for (const runId of known.runs.keys()) if (!open.has(runId)) this.forget(known, runId);
    for (const runId of open) if (!known.runs.has(runId)) this.await(known, runId);
    this.close(known);
  }

  private changed({ stream, revision, type, data }: Pick<RecordedEvent, 'stream' | 'revision' | 'type' | 'data'>): void {
    const before = this.schedules.get(stream);
    if (before !== undefined && revision <= before.revision) return;
    const known = this.open(stream, revision);
    known.revision = revision;
    if (type === 'ScheduleCreated') Object.assign(known, { isLive: true, isErased: false });
    if (type === 'ScheduleDeleted') known.isLive = false;
    if (type === 'ScheduleErased') known.isErased = true;
    if (type === 'FiringDue') this.await(known, scheduleEventSchemas.FiringDue.pick({ runId: true }).parse(data).runId);
    if (type === 'FiringEnded' || type === 'FiringRefused') this.forget(known, (data as { readonly runId: string }).runId);
    this.close(known);
    if (this.complete) this.news.onFact(known.address, revision);
  }

  private open(stream: string, revision: number): Known {
    const found = this.schedules.get(stream);
    if (found !== undefined) return found;
    const known: Known = { address: scheduleStream.parse(stream), revision, isLive: false, isErased: false, runs: new Map() };
    this.schedules.set(stream, known);
    return known;
  }

  private await(known: Known, runId: string, result?: FiringResult): void {
    known.runs.set(runId, result);
    this.waiting.set(runStream.build(runAddress(known.address.tenant, runId)), known);
  }

  private forget(known: Known, runId: string): void {
    known.runs.delete(runId);
    this.waiting.delete(runStream.build(runAddress(known.address.tenant, runId)));
  }

  /** Nothing of it can happen any more. */
  private close(known: Known): void {
    if (!known.isLive && known.isErased && known.runs.size === 0) this.schedules.delete(scheduleStream.build(known.address));
  }
}
