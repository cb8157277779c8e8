import { createHash } from 'node:crypto';
import type { Cancel, Host } from '@perdure/kernel';

interface Waiting {
  readonly atMs: number;
  readonly order: number;
  readonly task: () => void;
}

/** Event-loop turns that count as "nothing moves any more". */
const QUIET_TURNS = 4;
const STEPS_MAX = 20_000;

/** Time that passes only when nothing else can happen, and seeded chance. */
export class VirtualHost implements Host {
  readonly incarnation = '00000000-0000-7000-8000-000000000000';
  readonly lines: string[] = [];
  nowMs = 1_700_000_000_000;
  private waiting: Waiting[] = [];
  private order = 0;
  private turning = 0;
  private seed: number;

  constructor(seed = 1) {
    this.seed = seed;
  }

  readonly clock = { nowMs: () => Math.floor(this.nowMs), monotonicMs: () => this.nowMs };
  readonly timers = { after: (delayMs: number, task: () => void) => this.after(delayMs, task), turn: () => this.turn() };
  readonly entropy = { uuid: () => this.uuid(), fraction: () => this.fraction() };
  readonly digest = { sha256: (text: string) => createHash('sha256').update(text).digest('hex') };
  readonly log = {
    info: (message: string) => void this.lines.push(message),
    warn: (message: string) => void this.lines.push(message),
    error: (message: string) => void this.lines.push(message),
  };

  crashPoint(): void {
    // Nothing crashes here: the specs end workers themselves.
  }

  /** Lets time pass until `isDone`; throws when nothing can happen any more. */
  async until(isDone: () => boolean): Promise<void> {
    for (let step = 0; step < STEPS_MAX; step += 1) {
      for (let quiet = 0; quiet < QUIET_TURNS; quiet = this.turning > 0 ? 0 : quiet + 1) await immediate();
      if (isDone()) return;
      const next = this.waiting.shift();
      if (next === undefined) throw new Error(`Nothing can happen any more, and it is not done. ${this.lines.join('; ')}`);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.task();
    }
    throw new Error(`It does not come to an end. ${this.lines.slice(-5).join('; ')}`);
  }

  async passes(durationMs: number): Promise<void> {
    let isOver = false;
    this.after(durationMs, () => {
      isOver = true;
    });
    await this.until(() => isOver);
  }

  fraction(): number {
    // Mulberry32, by Tommy Ettinger.
    this.seed = (this.seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.seed ^ (this.seed >>> 15), 1 | this.seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  private after(delayMs: number, task: () => void): Cancel {
    this.order += 1;
    const waiting = { atMs: this.nowMs + Math.max(0, delayMs), order: this.order, task };
    this.waiting.push(waiting);
    this.waiting.sort((left, right) => left.atMs - right.atMs || left.order - right.order);
    return () => {
      this.waiting = this.waiting.filter((other) => other !== waiting);
    };
  }

  private async turn(): Promise<void> {
    this.turning += 1;
    await immediate();
    this.turning -= 1;
  }

  private uuid(): string {
    const hex = (): string =>
      Math.floor(this.fraction() * 4_294_967_296)
        .toString(16)
        .padStart(8, '0');
    const time = Math.floor(this.nowMs).toString(16).padStart(12, '0');
    return `${time.slice(0, 8)}-${time.slice(8)}-7${hex().slice(0, 3)}-8${hex().slice(0, 3)}-${hex()}${hex().slice(0, 4)}`;
  }
}

function immediate(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
