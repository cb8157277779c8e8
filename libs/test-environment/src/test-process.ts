import { createHash } from 'node:crypto';
import type { Host, Logger } from '@perdure/kernel';
import type { Pace, VirtualTime } from './virtual-time';

/** Mulberry32, by Tommy Ettinger: chance enough for a test, and the same for the same seed. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export interface TestProcessOptions {
  readonly name: string;
  readonly time: VirtualTime;
  readonly pace: Pace;
  readonly fraction: () => number;
  readonly log: (line: string) => void;
}

/** One process of the environment, as its code sees it. Killed, it does nothing more. */
export class TestProcess implements Host {
  readonly incarnation: string;
  readonly clock: Host['clock'];
  readonly timers: Host['timers'];
  readonly entropy: Host['entropy'];
  readonly digest = { sha256: (text: string) => createHash('sha256').update(text, 'utf8').digest('hex') };
  readonly log: Logger;
  private isAlive = true;

  constructor({ name, time, pace, fraction, log }: TestProcessOptions) {
    this.clock = time.clockOf(pace);
    this.timers = time.timersOf(pace, () => this.isAlive);
    this.entropy = { fraction, uuid: () => uuidV7(this.clock.nowMs(), fraction) };
    this.incarnation = this.entropy.uuid();
    const line = (level: string) => (message: string, fields?: Readonly<Record<string, unknown>>) =>
      log(`${new Date(this.clock.nowMs()).toISOString()} ${level} ${name}: ${message} ${JSON.stringify(fields ?? {})}`);
    this.log = { info: line('info'), warn: line('warn'), error: line('error') };
  }

  /** As by `kill -9`. */
  kill(): void {
    this.isAlive = false;
  }

  crashPoint(): void {
    // Processes end here when the test says so, and not at named points.
  }
}

function uuidV7(wallMs: number, fraction: () => number): string {
  const time = Math.floor(wallMs).toString(16).padStart(12, '0');
  const random = Array.from({ length: 19 }, () => Math.floor(fraction() * 16).toString(16)).join('');
  const variant = (8 + Math.floor(fraction() * 4)).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(3, 6)}-${random.slice(6, 18)}`;
}
