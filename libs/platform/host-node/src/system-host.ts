import { createHash, randomFillSync } from 'node:crypto';
import { readFileSync, unlinkSync } from 'node:fs';
import type { Cancel, Host, Logger } from '@perdure/kernel';

export interface SystemHostOptions {
  /** The process as it calls itself in its log. */
  readonly service: string;
  /**
   * `<name>:<count>`: the process kills itself when it comes to that crash point for the count-th time. `@<file>`: when it comes to
   * the point that the file names, `<name>` or `<name>/<kind>`; it takes the file away first, so that one process dies of it, once.
   */
  readonly crashPoint?: string | undefined;
  /** Lines of JSON; standard error by default. */
  readonly write?: (line: string) => void;
  /** True: a waiting timer alone does not keep the process alive. */
  readonly unrefTimers?: boolean;
}

const TIMER_DELAY_MAX_MS = 2_147_483_647;

/** The host of a real process: system clock, timers, chance, SHA-256, log on standard error. */
export function systemHost(options: SystemHostOptions): Host {
  const incarnation = uuidV7();
  return {
    incarnation,
    clock: { nowMs: () => Date.now(), monotonicMs: () => performance.now() },
    timers: {
      after: (delayMs, task) => after(delayMs, task, options.unrefTimers === true),
      turn: () => new Promise((resolve) => setImmediate(resolve)),
    },
    entropy: { uuid: uuidV7, fraction: () => Math.random() },
    digest: { sha256: (text) => createHash('sha256').update(text).digest('hex') },
    log: jsonLines(options, incarnation),
    crashPoint: crashPoints(options.crashPoint),
  };
}

function after(delayMs: number, task: () => void, unref: boolean): Cancel {
  const timer = setTimeout(task, Math.min(Math.max(0, delayMs), TIMER_DELAY_MAX_MS));
  if (unref) timer.unref();
  return () => clearTimeout(timer);
}

/** Chance is drawn in blocks: a system call for each id would cost more than the id. */
const POOL_BYTES = 4_096;
const ID_BYTES = 10;
const pool = Buffer.alloc(POOL_BYTES);
let poolOffset = POOL_BYTES;

function uuidV7(): string {
  if (poolOffset + ID_BYTES > POOL_BYTES) {
    randomFillSync(pool);
    poolOffset = 0;
  }
  const random = pool.toString('hex', poolOffset, poolOffset + ID_BYTES);
  poolOffset += ID_BYTES;
  const time = Date.now().toString(16).padStart(12, '0');
  const variant = ((Number.parseInt(random.charAt(3), 16) & 0x3) | 0x8).toString(16);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-${variant}${random.slice(4, 7)}-${random.slice(7, 19)}`;
}

function jsonLines(options: SystemHostOptions, incarnation: string): Logger {
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const log =
    (level: string) =>
    (message: string, fields: Readonly<Record<string, unknown>> = {}) => {
      write(
        `${safeJson({ time: new Date().toISOString(), level, service: options.service, incarnation, message, ...fields })}\n`,
      );
    };
  return { info: log('info'), warn: log('warn'), error: log('error') };
}

/** A field that cannot be written must not cost the process its life. */
function safeJson(value: object): string {
  try {
    return JSON.stringify(value, (_, field: unknown) =>
      typeof field === 'bigint'
        ? field.toString()
        : field instanceof Error
          ? { name: field.name, message: field.message }
          : field,
    );
  } catch (error) {
    return JSON.stringify({ level: 'error', message: 'A log line could not be written', error: String(error) });
  }
}

function crashPoints(wanted: string | undefined): Host['crashPoint'] {
  if (wanted?.startsWith('@') === true) return armedBy(wanted.slice(1));
  const [wantedName = '', wantedCount = '1'] = (wanted ?? '').split(':');
  if (wantedName === '') return () => undefined;
  let left = Math.max(1, Number(wantedCount));
  return (name) => {
    if (name !== wantedName) return;
    left -= 1;
    if (left === 0) process.kill(process.pid, 'SIGKILL');
  };
}

function armedBy(file: string): Host['crashPoint'] {
  return (name, kinds) => {
    try {
      const [wantedName, wantedKind] = readFileSync(file, 'utf8').trim().split('/');
      if (name !== wantedName || (wantedKind !== undefined && kinds?.().includes(wantedKind) !== true)) return;
      unlinkSync(file);
    } catch {
      // Nothing is armed, or another process was quicker.
      return;
    }
    process.kill(process.pid, 'SIGKILL');
  };
}
