import { Terminal } from '@perdure/kernel';
import type { Rest } from './rest';
import type { VirtualTime } from './virtual-time';

// When time passes.
//
// 1. Only while a test waits for something: an answer of the client, or a stretch of time to be over.
// 2. Not while a step, a tool or a model is being executed: that may wait for the real world.
// 3. While a run is under way, time goes step by step, as far as the next thing that anybody waits for.
// 4. When every run rests, and a moment has gone by in which services would have repeated what was not heard, the wall clock leaps to
//    the next thing that is due.

export interface Journey {
  /** Until when time shall pass; without it until whoever waits has been answered. */
  readonly untilMs?: number;
  arrived?(): void;
  /** Nothing will ever happen any more. */
  strand(error: Error): void;
}

export interface Landscape {
  readonly time: VirtualTime;
  readonly rest: Rest;
  isExecuting(): boolean;
  /** A worker waits for its own clock. */
  isWaiting(): boolean;
  /** Of schedules; the timers of runs are in the log. */
  nextScheduledMs(): number | undefined;
  clockWasSet(): void;
  /** Which runs wait, and for what. */
  describe(): Promise<string>;
}

/** A run that is under way and has told nothing for so long waits for something that does not exist, such as a worker. */
const STILL_AFTER_MS = 60_000;
/** Within this, services repeat for the first time what was not answered. */
const MOMENT_MS = 100;
const REAL_PAUSE_MS = 1;

export class Pilot {
  private readonly journeys = new Set<Journey>();
  private isFlying = false;
  private factsSeen = 0;
  private stillSinceMs = 0;

  constructor(private readonly land: Landscape) {}

  /** Time passes from now on until it has arrived, or `leave` is called. */
  join(journey: Journey): void {
    this.journeys.add(journey);
    if (this.isFlying) return;
    this.isFlying = true;
    void this.fly();
  }

  leave(journey: Journey): void {
    this.journeys.delete(journey);
  }

  private async fly(): Promise<void> {
    const { land } = this;
    const { time } = land;
    for (;;) {
      await time.quiet();
      if (this.journeys.size === 0) break;
      if (land.isExecuting()) await realPause();
      else if (this.isUnderWay()) time.step();
      else if (this.arrive()) continue;
      else if (this.stillForMs() < MOMENT_MS) time.step();
      else await this.leap();
    }
    this.isFlying = false;
  }

  private isUnderWay(): boolean {
    const { time, rest } = this.land;
    const isOverdue = (this.nextDueMs() ?? Number.POSITIVE_INFINITY) <= time.clock.nowMs();
    return this.land.isWaiting() || (this.stillForMs() < STILL_AFTER_MS && (rest.isMoving || isOverdue));
  }

  /** Since when the log has told nothing new, by the clock that does not leap. */
  private stillForMs(): number {
    const { time, rest } = this.land;
    const nowMs = time.clock.monotonicMs();
    if (rest.facts !== this.factsSeen) this.stillSinceMs = nowMs;
    this.factsSeen = rest.facts;
    return nowMs - this.stillSinceMs;
  }

  /** True when somebody has come to where they wanted. */
  private arrive(): boolean {
    const nowMs = this.land.time.clock.nowMs();
    const there = [...this.journeys].filter(({ untilMs }) => untilMs !== undefined && untilMs <= nowMs);
    for (const journey of there) {
      this.journeys.delete(journey);
      journey.arrived?.();
    }
    return there.length > 0;
  }

  private async leap(): Promise<void> {
    const { time } = this.land;
    const ends = [...this.journeys].flatMap(({ untilMs }) => untilMs ?? []);
    const due = this.nextDueMs();
    const nextMs = Math.min(...ends, due !== undefined && due > time.clock.nowMs() ? due : Number.POSITIVE_INFINITY);
    if (nextMs === Number.POSITIVE_INFINITY) return this.strand();
    time.leapTo(nextMs);
    this.land.clockWasSet();
  }

  private nextDueMs(): number | undefined {
    const times = [this.land.rest.nextDueMs, this.land.nextScheduledMs()].flatMap((atMs) => atMs ?? []);
    return times.length === 0 ? undefined : Math.ceil(Math.min(...times));
  }

  private async strand(): Promise<void> {
    const stranded = [...this.journeys];
    const open = await this.land.describe();
    const error = new Terminal(
      'NothingWillHappen',
      `The test waits for something that will never happen: no timer is set, and nothing is under way. ${open}`,
    );
    for (const journey of stranded) if (this.journeys.delete(journey)) journey.strand(error);
  }
}

function realPause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, REAL_PAUSE_MS));
}
