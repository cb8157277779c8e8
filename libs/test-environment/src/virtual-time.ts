import type { Cancel, Clock, Timers } from '@perdure/kernel';

interface Waiting {
  readonly atMs: number;
  readonly order: number;
  readonly task: () => void;
  isAlive(): boolean;
}

/** By which clock somebody waits: the machine's, which never leaps, or the one on the wall, which does. */
export type Pace = 'machine' | 'wall';

/** Turns of the event loop in which nothing new was asked for: by then every message in memory has arrived. */
const QUIET_TURNS = 3;
const REAL_PAUSE_MS = 1;
// Taken when this is loaded: a test that puts others in their place does not stop its own environment.
const { setImmediate: soon, setTimeout: later } = globalThis;

/**
 * The time of all processes of one environment. It stands still until it is moved: by a step, which both clocks take, as real time
 * would pass; or by a leap of the wall clock alone, as when an operator sets it. What beats and leases live by is the machine's clock,
 * so a leap over a year costs none of them anything. What code under test waits for goes by the clock on the wall.
 */
export class VirtualTime {
  private machineMs = 0;
  private skippedMs = 0;
  private order = 0;
  private turning = 0;
  private readonly waiting: Readonly<Record<Pace, Waiting[]>> = { machine: [], wall: [] };

  constructor(private readonly startAtMs: number) {}

  get nowMs(): number {
    return this.startAtMs + this.elapsedMs('wall');
  }

  /** By the wall clock: when somebody first waits for it. */
  get nextDueMs(): number | undefined {
    const next = this.waiting.wall.find((waiting) => waiting.isAlive());
    return next === undefined ? undefined : this.startAtMs + next.atMs;
  }

  clockOf(pace: Pace): Clock {
    return { nowMs: () => this.nowMs, monotonicMs: () => this.elapsedMs(pace) };
  }

  /** For one process; what it waits for is forgotten when it is dead. */
  timersOf(pace: Pace, isAlive: () => boolean): Timers {
    return {
      after: (delayMs, task) => this.after(pace, delayMs, { isAlive, task: () => void (isAlive() && task()) }),
      turn: () => this.turn(),
    };
  }

  /** Resolves when nothing moves any more, but for code that waits for the world outside. */
  async quiet(): Promise<void> {
    for (let turns = 0; turns < QUIET_TURNS; turns = this.turning > 0 ? 0 : turns + 1) await immediate();
  }

  /** Runs what is to be run next, if that is no later than `withinMs` from now; else lets just so much time pass. */
  step(withinMs = Number.POSITIVE_INFINITY): void {
    const pace = this.waitMs('wall') <= this.waitMs('machine') ? 'wall' : 'machine';
    const waitMs = this.waitMs(pace);
    if (Math.min(waitMs, withinMs) === Number.POSITIVE_INFINITY) return;
    this.machineMs += Math.min(waitMs, withinMs);
    if (waitMs <= withinMs) this.waiting[pace].shift()?.task();
  }

  /** Forwards only. */
  leapTo(wallMs: number): void {
    this.skippedMs += Math.max(0, wallMs - this.nowMs);
  }

  private elapsedMs(pace: Pace): number {
    return pace === 'machine' ? this.machineMs : this.machineMs + this.skippedMs;
  }

  private waitMs(pace: Pace): number {
    const next = this.waiting[pace][0];
    return next === undefined ? Number.POSITIVE_INFINITY : Math.max(0, next.atMs - this.elapsedMs(pace));
  }

  private after(pace: Pace, delayMs: number, waits: Pick<Waiting, 'task' | 'isAlive'>): Cancel {
    this.order += 1;
    const queue = this.waiting[pace];
    const waiting = { atMs: this.elapsedMs(pace) + Math.max(0, Math.ceil(delayMs)), order: this.order, ...waits };
    const place = queue.findIndex(({ atMs }) => atMs > waiting.atMs);
    queue.splice(place < 0 ? queue.length : place, 0, waiting);
    return () => {
      const found = queue.indexOf(waiting);
      if (found >= 0) queue.splice(found, 1);
    };
  }

  private async turn(): Promise<void> {
    this.turning += 1;
    await immediate();
    this.turning -= 1;
  }
}

/** Real time, for what code under test does outside. */
export function realPause(): Promise<void> {
  return new Promise((resolve) => later(resolve, REAL_PAUSE_MS));
}

function immediate(): Promise<void> {
  return new Promise((resolve) => soon(resolve));
}
