/** Stops what it came from; calling it twice is harmless. */
export type Cancel = () => void;

export interface Clock {
  /** Wall time in milliseconds since the epoch; may jump in either direction. */
  nowMs(): number;
  /** Milliseconds from an arbitrary origin; never goes back within one incarnation. */
  monotonicMs(): number;
}

export interface Timers {
  /** Runs `task` once after at least `delayMs` on the monotonic clock. */
  after(delayMs: number, task: () => void): Cancel;
  /** Resolves after every microtask that is now queued, and those they queue, has run. */
  turn(): Promise<void>;
}

export interface Entropy {
  /** A UUID of version 7: its first 48 bits are the wall clock in milliseconds. */
  uuid(): string;
  /** Uniform in [0, 1). */
  fraction(): number;
}

export interface Digest {
  /** Lower-case hexadecimal SHA-256 of the UTF-8 bytes. */
  sha256(text: string): string;
}

export interface Logger {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/**
 * What a process gets from outside: time, chance, its own identity, and the points at which a test
 * may end it. Nothing below `platform` and `apps` reaches for these in any other way.
 */
export interface Host {
  /** Unique for each start of a process: two incarnations of one service never share it. */
  readonly incarnation: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly entropy: Entropy;
  readonly digest: Digest;
  readonly log: Logger;
  /**
   * A named place where a crash is survivable by design. Tests end the process here; otherwise free. `kinds`: what passes it, by
   * which a test may tell one passing from another.
   */
  crashPoint(name: string, kinds?: () => readonly string[]): void;
}

/** Resolves after `delayMs` on the host's monotonic clock. */
export function delay(host: Pick<Host, 'timers'>, delayMs: number): Promise<void> {
  return new Promise((resolve) => {
    host.timers.after(delayMs, resolve);
  });
}
