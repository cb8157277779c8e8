import type { Cancel } from '@perdure/kernel';
import { AmbientGuard } from './ambient-guard';
import { EventHeap, type HeapEntry } from './event-heap';
import { SeededRandom } from './seeded-random';
import { Trace } from './trace';

/**
 * One seed, one story.
 *
 * 1. Time is virtual: the next event is taken from a heap, and the clock stands at its moment.
 * 2. Every microtask that an event leads to has run before the next event: no two events are ever half done.
 * 3. What belongs to a process that is dead does not happen; what belongs to one that is paused waits.
 * 4. The trace hashes every event: two runs of one seed have the same hash, or something ambient was touched.
 */
export interface Owner {
  readonly name: string;
  readonly alive: boolean;
  /** Events of this owner wait until then. */
  readonly pausedUntilMs: number;
}

interface SimEvent extends HeapEntry {
  readonly label: string;
  readonly owner: Owner | undefined;
  readonly task: () => void;
  cancelled: boolean;
}

export interface Violation {
  readonly invariant: string;
  readonly message: string;
  readonly atMs: number;
}

export interface SimulationOptions {
  readonly seed: number;
  /** Wall time at virtual time zero. */
  readonly epochMs?: number;
  onLine?(line: string): void;
}

/** 2026-01-01T00:00:00Z: any fixed instant that is not zero. */
const EPOCH_MS = 1_767_225_600_000;
/** The event loop is let in this often: only then are rejections that nobody handled reported. */
const EVENTS_PER_TURN = 64;
/** A story longer than this goes round in circles. */
const EVENTS_MAX = 3_000_000;

export class Simulation {
  readonly random: SeededRandom;
  readonly trace: Trace;
  readonly violations: Violation[] = [];
  readonly epochMs: number;
  private readonly heap = new EventHeap<SimEvent>();
  private readonly ties: SeededRandom;
  private readonly guard: AmbientGuard;
  private time = 0;
  private made = 0;
  private handled = 0;
  private failure: Error | undefined;
  private stopped = false;

  constructor(options: SimulationOptions) {
    this.random = new SeededRandom(options.seed);
    this.ties = this.random.split('ties');
    this.trace = new Trace(options.onLine?.bind(options));
    this.epochMs = options.epochMs ?? EPOCH_MS;
    this.guard = new AmbientGuard((what) => this.violate('ambient', `${what} was touched by code under simulation`));
  }

  get nowMs(): number {
    return this.time;
  }

  /** Real time of the machine, for measuring how fast this goes. */
  get realNowMs(): number {
    return this.guard.real.nowMs();
  }

  get events(): number {
    return this.handled;
  }

  violate(invariant: string, message: string): void {
    this.note(`VIOLATION ${invariant}: ${message}`);
    this.violations.push({ invariant, message, atMs: this.time });
  }

  note(line: string): void {
    this.trace.add(`${this.time.toFixed(3)} ${line}`);
  }

  at(
    delayMs: number,
    task: () => void,
    { label, owner }: { readonly label: string; readonly owner?: Owner | undefined },
  ): Cancel {
    const atMs = this.time + Math.max(0, Math.ceil(delayMs * 1_000) / 1_000);
    this.made += 1;
    const event: SimEvent = { atMs, tie: this.ties.fraction(), order: this.made, label, owner, task, cancelled: false };
    this.heap.push(event);
    return () => {
      event.cancelled = true;
    };
  }

  /** Ends the story after the event under way. */
  stop(): void {
    this.stopped = true;
  }

  /** Runs until `untilMs`, or until stopped. @throws what an event threw */
  async run(untilMs: number): Promise<void> {
    const onRejection = (reason: unknown): void => {
      this.violate('unhandled', `nobody handled the rejection: ${describe(reason)}`);
    };
    process.on('unhandledRejection', onRejection);
    this.guard.install();
    try {
      await new Promise<void>((resolve) => this.turn(untilMs, resolve));
    } finally {
      this.guard.remove();
      process.off('unhandledRejection', onRejection);
    }
    if (this.failure !== undefined) throw this.failure;
  }

  private turn(untilMs: number, done: () => void): void {
    const isOver = this.stopped || this.failure !== undefined || !this.next(untilMs);
    if (isOver) return this.guard.real.setImmediate(done);
    const again = (): void => this.turn(untilMs, done);
    if (this.handled % EVENTS_PER_TURN === 0) this.guard.real.setImmediate(again);
    // A tick that is asked for by a microtask runs after every microtask, and those that they lead to.
    else queueMicrotask(() => process.nextTick(again));
  }

  /** False when there is nothing left to do until then. */
  private next(untilMs: number): boolean {
    const event = this.heap.pop();
    if (event === undefined || event.atMs > untilMs) {
      if (event !== undefined) this.heap.push(event);
      this.time = untilMs;
      return false;
    }
    if (event.cancelled || event.owner?.alive === false) return true;
    const heldUntilMs = event.owner?.pausedUntilMs ?? 0;
    if (heldUntilMs > event.atMs) {
      this.heap.push({ ...event, atMs: heldUntilMs, ...cancelledWith(event) });
      return true;
    }
    this.time = event.atMs;
    this.handle(event);
    return true;
  }

  private handle(event: SimEvent): void {
    this.handled += 1;
    if (this.handled > EVENTS_MAX)
      this.failure = new RangeError(`More than ${EVENTS_MAX} events: the story goes round in circles.`);
    this.note(event.owner === undefined ? event.label : `${event.owner.name} ${event.label}`);
    try {
      event.task();
    } catch (error) {
      this.failure = error instanceof Error ? error : new Error(String(error));
    }
  }
}

/** An event that is put back shares its cancellation with the one its maker holds. */
function cancelledWith(event: SimEvent): { cancelled: boolean } {
  return {
    get cancelled() {
      return event.cancelled;
    },
    set cancelled(value) {
      event.cancelled = value;
    },
  };
}

function describe(reason: unknown): string {
  return reason instanceof Error ? `${reason.stack ?? reason.message}` : String(reason);
}
