import { TERMINAL_EVENT_TYPES } from '@perdure/run-contract';
import { auditRun } from '@perdure/testing';
import { percentile, rounded } from '../../rig/figures';
import type { LoggedFact } from '../../rig/log';

export interface TimersVerdict {
  /** That were set. */
  readonly timers: number;
  readonly fired: number;
  /** Fired before they were due, by the store's clock. */
  readonly early: number;
  /** Neither fired nor taken back, though their run lived on for long. Or of runs that never ended. */
  readonly lost: number;
  readonly doubled: number;
  readonly lateP50Ms: number;
  readonly lateP99Ms: number;
  readonly lateMaxMs: number;
  readonly violations: readonly string[];
}

const TERMINAL: ReadonlySet<string> = new Set(TERMINAL_EVENT_TYPES);

interface Timer {
  readonly runId: string;
  readonly timerId: string;
  readonly dueAtMs: number;
  /** When the store recorded that it fired. */
  readonly firedAtMs: number[];
  isCancelled: boolean;
  /** When its run ended, which closes whatever is open. */
  endedAtMs: number;
}

const CLOCK_SKEW_MS = 2;
/** Everything is up again long before. */
const LATE_MAX_MS = 60_000;

/** From the log alone, by the clock of the store. `ended`: the runs whose end somebody was told of. */
export function judgeTimers(runs: ReadonlyMap<string, readonly LoggedFact[]>, ended: ReadonlySet<string>): TimersVerdict {
  const timers = [...runs].flatMap(([runId, facts]) => timersOf(runId, facts));
  const fired = timers.filter(({ firedAtMs }) => firedAtMs.length > 0);
  const early = fired.filter(({ firedAtMs, dueAtMs }) => Math.min(...firedAtMs) < dueAtMs);
  const doubled = fired.filter(({ firedAtMs }) => firedAtMs.length > 1);
  const lost = timers.filter(
    ({ dueAtMs, endedAtMs, firedAtMs, isCancelled }) =>
      firedAtMs.length === 0 && !isCancelled && endedAtMs > dueAtMs + LATE_MAX_MS,
  );
  const unended = [...runs.keys()].filter((runId) => !ended.has(runId));
  const lateMs = fired.map(({ firedAtMs, dueAtMs }) => Math.min(...firedAtMs) - dueAtMs);
  const named = (what: string, those: readonly Timer[]): readonly string[] =>
    those.map(
      ({ runId, timerId, dueAtMs, firedAtMs }) =>
        `${what}: ${timerId} of ${runId}, due ${dueAtMs}, fired ${firedAtMs.join(', ')}`,
    );
  return {
    timers: timers.length,
    fired: fired.length,
    early: early.length,
    lost: lost.length + unended.length,
    doubled: doubled.length,
    lateP50Ms: rounded(percentile(lateMs, 0.5)),
    lateP99Ms: rounded(percentile(lateMs, 0.99)),
    lateMaxMs: Math.max(0, ...lateMs),
    violations: [
      ...named('early', early),
      ...named('doubled', doubled),
      ...named('lost', lost),
      ...unended.map((runId) => `lost: ${runId} has not ended`),
      ...[...runs.values()].flatMap((facts) =>
        auditRun(facts, { clockSkewMs: CLOCK_SKEW_MS }).map(({ invariant, message }) => `${invariant}: ${message}`),
      ),
    ],
  };
}

function timersOf(runId: string, facts: readonly LoggedFact[]): readonly Timer[] {
  const timers = new Map<string, Timer>();
  const endedAtMs = facts.findLast(({ type }) => TERMINAL.has(type))?.recordedAtMs ?? Infinity;
  for (const { type, data, recordedAtMs } of facts) {
    const timerId = String(data.timerId);
    if (type === 'TimerSet')
      timers.set(timerId, { runId, timerId, dueAtMs: Number(data.dueAtMs), firedAtMs: [], isCancelled: false, endedAtMs });
    const timer = timers.get(timerId);
    if (timer === undefined) continue;
    if (type === 'TimerFired') timer.firedAtMs.push(recordedAtMs);
    if (type === 'TimerCancelled') timer.isCancelled = true;
  }
  return [...timers.values()];
}
