import { createHash } from 'node:crypto';
import type { Cancel, Clock, Digest, Entropy, Host, Logger, Timers } from '@perdure/kernel';
import type { Owner, Simulation } from './simulation';

export interface SimProcessOptions {
  /** Role and number: the same for every incarnation. */
  readonly name: string;
  readonly incarnation: number;
  /** How far its wall clock is off. */
  readonly skewMs: number;
  /** Whether it ends at this named point. */
  crashesAt(point: string): boolean;
}

/**
 * One incarnation of a process. Once it is dead, none of its timers fires, none of its calls to the outside has an
 * effect, and no answer reaches it: that is what `kill -9` does.
 */
export class SimProcess implements Owner, Host {
  readonly name: string;
  readonly incarnation: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly digest: Digest = { sha256: (text) => createHash('sha256').update(text, 'utf8').digest('hex') };
  readonly log: Logger;
  alive = true;
  pausedUntilMs = 0;
  private readonly endings: (() => void)[] = [];

  constructor(
    readonly simulation: Simulation,
    private readonly options: SimProcessOptions,
  ) {
    const { name, incarnation, skewMs } = options;
    this.name = `${name}#${incarnation}`;
    this.incarnation = `${name}-${incarnation}`;
    const startedMs = simulation.nowMs;
    this.clock = {
      nowMs: () => Math.floor(simulation.epochMs + simulation.nowMs + skewMs),
      monotonicMs: () => simulation.nowMs - startedMs,
    };
    this.timers = {
      after: (delayMs, task) => this.schedule(delayMs, 'timer', task),
      turn: () => new Promise((resolve) => void this.schedule(0, 'turn', resolve)),
    };
    const chance = simulation.random.split(`entropy of ${this.name}`);
    this.entropy = { fraction: () => chance.fraction(), uuid: () => uuidV7(this.clock.nowMs(), () => chance.fraction()) };
    const line =
      (level: string) =>
      (message: string, fields: Readonly<Record<string, unknown>> = {}) =>
        simulation.note(`${this.name} ${level}: ${message} ${JSON.stringify(fields)}`);
    this.log = { info: line('info'), warn: line('warn'), error: line('error') };
  }

  get role(): string {
    return this.options.name;
  }

  crashPoint(point: string): void {
    // The code goes on to its next wait, and reaches nothing: an exception would be seen by those who catch them.
    if (this.alive && this.options.crashesAt(point)) this.kill(`at ${point}`);
  }

  schedule(delayMs: number, label: string, task: () => void): Cancel {
    if (!this.alive) return () => undefined;
    return this.simulation.at(delayMs, task, { label, owner: this });
  }

  /** The answer of something outside, as it comes in: never, if this incarnation is dead by then. */
  answer<T>(delayMs: number, label: string, value: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.schedule(delayMs, label, () => {
        try {
          resolve(value());
        } catch (error) {
          reject(error as Error);
        }
      });
    });
  }

  onEnd(ending: () => void): void {
    this.endings.push(ending);
  }

  kill(why: string): void {
    if (!this.alive) return;
    this.alive = false;
    this.simulation.note(`${this.name} KILLED ${why}`);
    for (const ending of this.endings.splice(0)) ending();
  }

  pause(forMs: number): void {
    this.pausedUntilMs = Math.max(this.pausedUntilMs, this.simulation.nowMs + forMs);
    this.simulation.note(`${this.name} PAUSED for ${forMs.toFixed(0)} ms`);
  }
}

function uuidV7(wallMs: number, fraction: () => number): string {
  const time = Math.floor(wallMs).toString(16).padStart(12, '0');
  const random = Array.from({ length: 19 }, () => Math.floor(fraction() * 16).toString(16)).join('');
  const variant = (8 + Math.floor(fraction() * 4)).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(3, 6)}-${random.slice(6, 18)}`;
}
