import { createHash } from 'node:crypto';
import type { Cancel, Clock, Digest, Entropy, Host, Logger, Timers } from '@perdure/kernel';

export interface ManualHostOptions {
  readonly seed?: number;
  readonly nowMs?: number;
  readonly incarnation?: string;
}

export interface LogLine {
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface PendingTimer {
  readonly atMs: number;
  readonly order: number;
  readonly task: () => void;
}

/** 2026-01-01T00:00:00Z: any fixed instant that is not zero. */
const DEFAULT_NOW_MS = 1_767_225_600_000;

/** Time stands still until a spec moves it; chance comes from a seed. */
export class ManualHost implements Host {
  readonly incarnation: string;
  readonly logged: LogLine[] = [];
  readonly crashPointsPassed: string[] = [];
  readonly clock: Clock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly digest: Digest = { sha256: (text) => createHash('sha256').update(text, 'utf8').digest('hex') };
  readonly log: Logger;

  private wallMs: number;
  private elapsedMs = 0;
  private timersMade = 0;
  private readonly pending = new Set<PendingTimer>();

  constructor({ seed = 1, nowMs = DEFAULT_NOW_MS, incarnation = 'incarnation-1' }: ManualHostOptions = {}) {
    this.incarnation = incarnation;
    this.wallMs = nowMs;
    const fraction = mulberry32(seed);
    this.clock = { nowMs: () => this.wallMs, monotonicMs: () => this.elapsedMs };
    this.timers = { after: (delayMs, task) => this.after(delayMs, task), turn: () => this.settle() };
    this.entropy = { fraction, uuid: () => uuidV7(this.wallMs, fraction) };
    const line =
      (level: LogLine['level']) =>
      (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
        void this.logged.push({ level, message, fields });
    this.log = { info: line('info'), warn: line('warn'), error: line('error') };
  }

  get timersPending(): number {
    return this.pending.size;
  }

  crashPoint(name: string): void {
    this.crashPointsPassed.push(name);
  }

  /** Lets every queued microtask, and what they queue, run; time does not move. */
  settle(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve));
  }

  /** Moves both clocks, running each timer at its time and what follows from it before the next. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.elapsedMs + byMs;
    await this.settle();
    for (let timer = this.nextUntil(untilMs); timer !== undefined; timer = this.nextUntil(untilMs)) {
      this.moveTo(Math.max(timer.atMs, this.elapsedMs));
      this.pending.delete(timer);
      timer.task();
      await this.settle();
    }
    this.moveTo(untilMs);
  }

  /** An operator, or a time server, sets the wall clock; the monotonic clock does not notice. */
  jumpWall(byMs: number): void {
    this.wallMs += byMs;
  }

  private after(delayMs: number, task: () => void): Cancel {
    const timer: PendingTimer = { atMs: this.elapsedMs + Math.max(0, delayMs), order: (this.timersMade += 1), task };
    this.pending.add(timer);
    return () => void this.pending.delete(timer);
  }

  private moveTo(elapsedMs: number): void {
    this.wallMs += elapsedMs - this.elapsedMs;
    this.elapsedMs = elapsedMs;
  }

  private nextUntil(untilMs: number): PendingTimer | undefined {
    let next: PendingTimer | undefined;
    for (const timer of this.pending) {
      if (timer.atMs > untilMs) continue;
      if (next === undefined || timer.atMs < next.atMs || (timer.atMs === next.atMs && timer.order < next.order)) next = timer;
    }
    return next;
  }
}

/** A small generator of good enough quality for tests; public domain (Tommy Ettinger, mulberry32). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function uuidV7(wallMs: number, fraction: () => number): string {
  const time = Math.floor(wallMs).toString(16).padStart(12, '0');
  const random = Array.from({ length: 19 }, () => Math.floor(fraction() * 16).toString(16)).join('');
  const variant = (8 + Math.floor(fraction() * 4)).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(3, 6)}-${random.slice(6, 18)}`;
}
