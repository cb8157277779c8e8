import type { RunView } from '@perdure/run-contract';
import { codeStillRuns, environmentClosed, nothingWillHappen } from './errors';
import type { Rest } from './rest';
import { realPause, type VirtualTime } from './virtual-time';

// When time passes.
//
// 1. Only while a test waits for something: an answer of the client, or a stretch of time to be over.
// 2. Not while a step, a tool or a model is being executed, unless the test says so: that may wait for the real world. Nor is it waited
//    for longer than its patience, by a real clock.
// 3. While a run is under way, time goes step by step, as far as the next thing that anybody waits for.
// 4. When every run rests, and a moment has gone by in which services would have repeated what was not heard, the wall clock leaps to
//    the next thing that is due: a timer, a time of a schedule, a pause of the code under test.
// 5. Whoever waits for a run that nothing happens to is told so, also while there is always something to be done for others.

export interface Journey {
  /** Until when time shall pass; without it until whoever waits has been answered. */
  readonly untilMs?: number;
  /** Also while code under test is being executed. */
  readonly whileExecuting?: boolean;
  /** Of a wait that is made of many journeys. */
  readonly patience?: Patience;
  arrived?(): void;
  /** Nothing will ever happen any more. */
  strand(error: Error): void;
}

/** Of whoever waits for the end of one run. */
export interface Patience {
  /** Changes with whatever happens to the run, and stays as it is when only others go on. */
  news(): number;
  lastNews: number;
  leaps: number;
}

export interface Landscape {
  readonly time: VirtualTime;
  readonly rest: Rest;
  /** Code under test, in words. */
  executed(): readonly string[];
  /** How many of them wait for their own clock before they go on. */
  pausing(): number;
  /** How long it may take, by a real clock. */
  readonly patienceMs: number;
  /** Leaps for others, while nothing happens to the run that is waited for. */
  readonly leapsMax: number;
  /** Of schedules; the timers of runs are in the log. */
  nextScheduledMs(): number | undefined;
  clockWasSet(): void;
  /** Runs that are open, and what they wait for. */
  waiting(): Promise<readonly RunView[]>;
}

/**
 * A run that is under way and has told nothing for so long waits for its own code, or for something that does not exist. Longer than the
 * loss of a worker takes to be noticed, and its runs to be given to another.
 */
const STILL_AFTER_MS = 15_000;
/** Within this, services repeat for the first time what was not answered. */
const MOMENT_MS = 100;

// Taken when this is loaded: a test may put another clock in its place.
const { now: realNowMs } = Date;

export class Pilot {
  private readonly journeys = new Set<Journey>();
  private isFlying = false;
  private factsSeen = 0;
  private stillSinceMs = 0;
  private executingSinceMs: number | undefined;
  private isClosed = false;

  constructor(private readonly land: Landscape) {}

  /** Time passes from now on until it has arrived, or `leave` is called. */
  join(journey: Journey): void {
    if (this.isClosed) return journey.strand(environmentClosed());
    this.journeys.add(journey);
    if (this.isFlying) return;
    this.isFlying = true;
    void this.fly();
  }

  leave(journey: Journey): void {
    this.journeys.delete(journey);
  }

  close(): void {
    this.isClosed = true;
    this.strandAll(environmentClosed());
  }

  private async fly(): Promise<void> {
    const { time } = this.land;
    for (;;) {
      await time.quiet();
      if (this.journeys.size === 0) break;
      if (this.isHeldUp()) await this.waitForCode();
      else if (this.isUnderWay()) time.step(this.nearestMs());
      else if (this.arrive()) continue;
      else if (this.stillForMs() < MOMENT_MS) time.step(this.nearestMs());
      else await this.leap();
    }
    this.isFlying = false;
  }

  private isHeldUp(): boolean {
    const held = this.land.executed().length > 0 && ![...this.journeys].some(({ whileExecuting }) => whileExecuting === true);
    if (!held) this.executingSinceMs = undefined;
    return held;
  }

  private async waitForCode(): Promise<void> {
    const { patienceMs } = this.land;
    this.executingSinceMs ??= realNowMs();
    if (realNowMs() - this.executingSinceMs <= patienceMs) return realPause();
    this.executingSinceMs = undefined;
    this.strandAll(codeStillRuns(this.land.executed(), patienceMs));
  }

  private isUnderWay(): boolean {
    const { time, rest } = this.land;
    const isOverdue = (this.nextDueMs() ?? Number.POSITIVE_INFINITY) <= time.nowMs;
    return this.stillForMs() < STILL_AFTER_MS && (rest.underWay > this.land.pausing() || isOverdue);
  }

  /** Since when the log has told nothing new, by the clock that does not leap. */
  private stillForMs(): number {
    const { time, rest } = this.land;
    const nowMs = time.clockOf('machine').monotonicMs();
    if (rest.facts !== this.factsSeen) this.stillSinceMs = nowMs;
    this.factsSeen = rest.facts;
    return nowMs - this.stillSinceMs;
  }

  /** True when somebody has come to where they wanted. */
  private arrive(): boolean {
    const nowMs = this.land.time.nowMs;
    const there = [...this.journeys].filter(({ untilMs }) => untilMs !== undefined && untilMs <= nowMs);
    for (const journey of there) {
      this.journeys.delete(journey);
      journey.arrived?.();
    }
    return there.length > 0;
  }

  private async leap(): Promise<void> {
    const { time } = this.land;
    const due = this.nextDueMs();
    const nextMs = Math.min(this.endMs, due !== undefined && due > time.nowMs ? due : Number.POSITIVE_INFINITY);
    if (nextMs === Number.POSITIVE_INFINITY)
      return this.strandAll(nothingWillHappen('no timer is set, and nothing is under way', await this.land.waiting()));
    time.leapTo(nextMs);
    this.land.clockWasSet();
    this.stillSinceMs = time.clockOf('machine').monotonicMs();
    await this.losePatience();
  }

  private async losePatience(): Promise<void> {
    for (const { patience } of this.journeys) {
      if (patience === undefined) continue;
      const news = patience.news();
      patience.leaps = news === patience.lastNews ? patience.leaps + 1 : 0;
      patience.lastNews = news;
    }
    const stranded = [...this.journeys].filter(({ patience }) => (patience?.leaps ?? 0) > this.land.leapsMax);
    if (stranded.length === 0) return;
    const error = nothingWillHappen('time goes on for others only', await this.land.waiting());
    for (const journey of stranded) if (this.journeys.delete(journey)) journey.strand(error);
  }

  private nextDueMs(): number | undefined {
    const { rest, time } = this.land;
    const times = [rest.nextDueMs, this.land.nextScheduledMs(), time.nextDueMs].flatMap((atMs) => atMs ?? []);
    return times.length === 0 ? undefined : Math.ceil(Math.min(...times));
  }

  /** The first moment at which a test wants to be. */
  private get endMs(): number {
    return Math.min(...[...this.journeys].map(({ untilMs }) => untilMs ?? Number.POSITIVE_INFINITY));
  }

  /** From now to there. While that is over and something is under way, time goes on. */
  private nearestMs(): number {
    const leftMs = this.endMs - this.land.time.nowMs;
    return leftMs > 0 ? leftMs : Number.POSITIVE_INFINITY;
  }

  private strandAll(error: Error): void {
    const stranded = [...this.journeys];
    this.journeys.clear();
    for (const journey of stranded) journey.strand(error);
  }
}
