import type { ErrorRecord, Host } from '@perdure/kernel';
import { SUSPEND_AFTER_MS } from './bounds';
import type { CallIdentity } from './replay-journal';
import type { CallWork } from './workflow-calls';

/** More than any attempt is probed: orders probes over attempts, so that an instruction that was delayed is known. */
export const PROBES_OF_ATTEMPT = 1_000;

/** A call that the code has made and has not been answered. */
export interface OpenCall {
  readonly call: string;
  readonly kind: CallIdentity['kind'];
  readonly work: CallWork;
  resolve(value: unknown): void;
  reject(error: unknown): void;
  lastAttempt: number;
  /** The newest probe that was begun, counted over all attempts. */
  lastProbe: number;
  /** Its intention is in the log. */
  recorded: boolean;
}

const ENDED_BY_FACTS: ReadonlySet<CallIdentity['kind']> = new Set(['sleep', 'tool', 'wait', 'child', 'message']);

/** Whether its end may come as a fact of the stream. */
export function endsByFact(kind: CallIdentity['kind'] | undefined): boolean {
  return kind !== undefined && ENDED_BY_FACTS.has(kind);
}

export type Given = { readonly ok: true; readonly value?: unknown } | { readonly ok: false; readonly error: ErrorRecord };

export interface QueuedResult {
  readonly call: string;
  readonly ended: Given;
  /** Ordinal of its entry. */
  readonly ordinal: number;
  readonly recordedFirst: boolean;
}

export type Finish =
  | { readonly ok: true; readonly output: unknown }
  | { readonly ok: false; readonly error: unknown }
  /** Begins again with this, as JSON. */
  | { readonly ok: 'again'; readonly input: string };

/** How long a run at rest waits before it lets go; undefined while something is not recorded. At once if nothing is due soon. */
export function idleMsOf(calls: Iterable<OpenCall>, due: ReadonlyMap<string, number>, nowMs: number): number | undefined {
  let idleMs = 0;
  for (const { call, kind, recorded } of calls) {
    // What is recorded and not under way waits: for its next attempt, a probe, a person.
    if (kind !== 'sleep' && !recorded) return undefined;
    const dueInMs = (due.get(call) ?? 0) - nowMs;
    // What is due soon is worth waiting for, and a little longer, since it comes by way of its keeper.
    if (dueInMs <= SUSPEND_AFTER_MS) idleMs = Math.max(idleMs, SUSPEND_AFTER_MS + Math.max(0, dueInMs));
  }
  return idleMs;
}

export function freshValue({ clock, entropy }: Host, name: 'now' | 'random' | 'uuid'): string | number {
  if (name === 'now') return clock.nowMs();
  return name === 'random' ? entropy.fraction() : entropy.uuid();
}
