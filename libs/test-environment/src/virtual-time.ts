import type { Cancel, Clock, Timers } from '@perdure/kernel';

interface Waiting {
  readonly atMs: number;
  readonly order: number;
  readonly task: () => void;
}

/** Turns of the event loop in which nothing new was asked for: by then every message in memory has arrived. */
const QUIET_TURNS = 3;

/**
 * The time of all processes of one environment. It stands still until it is moved: by a step, which both clocks take, as real time
 * would pass; or by a leap of the wall clock alone, as when an operator sets it. What beats and leases live by is the monotonic clock,
 * so a leap over a year costs none of them anything.
 */
export class VirtualTime {
  readonly clock: Clock = { nowMs: () => this.wallMs, monotonicMs: () => this.elapsedMs };
  private elapsedMs = 0;
  private order = 0;
  private turning = 0;
  private waiting: Waiting[] = [];

  constructor(private wallMs: number) {}

  /** For one process; what it waits for is forgotten when it is dead. */
  timersOf(isAlive: () => boolean): Timers {
    return {
      after: (delayMs, task) => this.after(delayMs, () => void (isAlive() && task())),
      turn: () => this.turn(),
    };
  }

  /** Resolves when nothing moves any more, but for code that waits for the world outside. */
  async quiet(): Promise<void> {
    for (let turns = 0; turns < QUIET_TURNS; turns = this.turning > 0 ? 0 : turns + 1) await immediate();
  }

  /** Runs what is to be run next. False when nobody waits for anything. */
  step(): boolean {
    const next = this.waiting.shift();
    if (next === undefined) return false;
    this.wallMs += Math.max(0, next.atMs - this.elapsedMs);
    this.elapsedMs = Math.max(this.elapsedMs, next.atMs);
    next.task();
    return true;
  }

  /** Forwards only. */
  leapTo(wallMs: number): void {
    this.wallMs = Math.max(this.wallMs, wallMs);
  }

  private after(delayMs: number, task: () => void): Cancel {
    this.order += 1;
    const waiting = { atMs: this.elapsedMs + Math.max(0, delayMs), order: this.order, task };
    const place = this.waiting.findIndex(({ atMs }) => atMs > waiting.atMs);
    this.waiting.splice(place < 0 ? this.waiting.length : place, 0, waiting);
    return () => {
      const found = this.waiting.indexOf(waiting);
      if (found >= 0) this.waiting.splice(found, 1);
    };
  }

  private async turn(): Promise<void> {
    this.turning += 1;
    await immediate();
    this.turning -= 1;
  }
}

function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
