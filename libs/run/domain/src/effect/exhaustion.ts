import { mustBeClaimed, type ErrorRecord } from '@perdure/kernel';
import type { EffectClass, EffectLimits, Exhaustion, RunEvent } from '@perdure/run-contract';
import type { RetryPolicy, ToolManifest } from '@perdure/tenant-contract';
import { RETRY_AFTER_MS_MAX } from '../bounds';
import { retryDelayMs } from './retry';
import { evolve } from '../run.evolve';
import { isOpen, type OpenRun, type OpenTool, type RunState } from '../run.state';

/**
 * How long the owner has patience with an effect.
 *
 * 1. No attempt begins after the time that the tool gives to all of them, counted from the intention or the newest re-drive.
 * 2. What must not be doubled and is exhausted certainly did not happen: what may have happened is in question instead.
 * 3. Timers only wake: whether the time is over is computed from state, also when a worker comes to begin.
 */

/** What a tool's manifest asks the owner to see to; undefined for most tools, which cost nothing more. */
export function limitsOf({ timeouts, onExhausted }: ToolManifest): { readonly limits?: EffectLimits } {
  const { scheduleToStartMs, totalMs } = timeouts ?? {};
  if (scheduleToStartMs === undefined && totalMs === undefined && onExhausted === undefined) return {};
  return {
    limits: {
      ...(scheduleToStartMs === undefined ? {} : { scheduleToStartMs }),
      ...(totalMs === undefined ? {} : { totalMs }),
      ...(onExhausted === undefined ? {} : { onExhausted }),
    },
  };
}

/** What the tool declares to undo a use of it. */
export function compensationOf({ compensation, pool }: ToolManifest): {
  readonly compensation?: { readonly effectClass: EffectClass };
} {
  // Whoever holds the run would undo it, and the credential is with the workers of the pool.
  return compensation === undefined || pool !== undefined ? {} : { compensation: { effectClass: compensation.effectClass } };
}

export interface FailedAttempt {
  readonly error: ErrorRecord;
  readonly policy: RetryPolicy;
  readonly at: { readonly nowMs: number; readonly fraction: number };
  /** The one who asked for the effect awaits the owner's word. */
  readonly asks: boolean;
}

/** Either a durable timer for the next attempt, which is the one retry layer, or what becomes of an effect that is exhausted. */
export function failedEffect(open: OpenTool, { error, policy, at, asks }: FailedAttempt): readonly RunEvent[] {
  const { call, attempt } = open;
  if (!mayBeTriedAgain(error, policy)) return [{ type: 'EffectFailed', data: { call, attempt, error } }];
  const delayMs = retryDelayMs(policy, attempt - open.series.attemptsBefore, at.fraction);
  const retryAtMs = at.nowMs + Math.max(delayMs ?? 0, Math.min(error.retryAfterMs ?? 0, RETRY_AFTER_MS_MAX));
  const isTooLate = asks && retryAtMs >= endOfSeriesMs(open);
  if (delayMs !== undefined && !isTooLate)
    return [
      { type: 'EffectFailed', data: { call, attempt, error, retryAtMs } },
      { type: 'TimerSet', data: { timerId: `retry-${call}-${attempt}`, purpose: 'retry', call, dueAtMs: retryAtMs } },
    ];
  const { totalMs, onExhausted } = open.limits ?? {};
  const isOwners = asks && (totalMs !== undefined || onExhausted !== undefined);
  if (!isOwners) return [{ type: 'EffectFailed', data: { call, attempt, error } }];
  return [exhausted({ ...open, lastError: error }, delayMs === undefined ? 'attempts' : 'total')];
}

/** The worker's rule too, word for word: it tells by it whether it knows the end. */
export function mayBeTriedAgain(error: ErrorRecord, { nonRetryable }: RetryPolicy): boolean {
  return error.reaction === 'retryable' && nonRetryable?.includes(error.code) !== true;
}

/** Why no attempt of it may begin any more; undefined when one may, or when one is under way. */
export function overdue(run: OpenRun, open: OpenTool, nowMs: number): Exhaustion | undefined {
  const { limits, deadLetter, execution, waitsForRetry } = open;
  if (limits === undefined || deadLetter !== undefined || execution !== undefined) return undefined;
  // What needs no claim is begun by whoever holds the run.
  // While persons are asked, it is they who are waited for.
  if (open.approval?.stage === 'waiting') return undefined;
  const isUnclaimed = !mustBeClaimed(open.effectClass) && open.pool === undefined && open.approval === undefined;
  if (!waitsForRetry && isUnclaimed && run.status === 'active') return undefined;
  if (nowMs >= endOfSeriesMs(open)) return 'total';
  if (waitsForRetry || limits.scheduleToStartMs === undefined) return undefined;
  return nowMs >= open.sinceMs + limits.scheduleToStartMs ? 'schedule-to-start' : undefined;
}

function endOfSeriesMs({ limits, series }: OpenTool): number {
  return limits?.totalMs === undefined ? Number.POSITIVE_INFINITY : series.sinceMs + limits.totalMs;
}

export function exhausted(open: OpenTool, because: Exhaustion): RunEvent {
  const { call, attempt, tool, effectClass, args, limits } = open;
  const error = open.lastError ?? exhaustedError(open, because);
  if (limits?.onExhausted === 'dead-letter')
    return { type: 'EffectDeadLettered', data: { call, tool, effectClass, args, attempt, because, error } };
  return { type: 'EffectFailed', data: { call, attempt, error: exhaustedError(open, because), exhausted: because } };
}

const BECAUSE: Readonly<Record<Exhaustion | 'given-up', string>> = {
  attempts: 'has used its attempts',
  total: 'has used the time that is given to all of its attempts',
  'schedule-to-start': 'was not begun in the time that it may wait for a worker',
  'given-up': 'was given up by a person',
};

export function exhaustedError(open: OpenTool, because: Exhaustion | 'given-up'): ErrorRecord {
  const { tool, attempt, lastError } = open;
  const last = lastError === undefined ? '' : ` The last error was ${lastError.code}: ${lastError.message}`;
  // Of what may be repeated nobody asks, and nobody knows.
  const certainty = mustBeClaimed(open.effectClass) ? '; it did not happen' : '';
  const details = { because, attempts: lastError === undefined ? attempt - 1 : attempt };
  return {
    code: 'EffectExhausted',
    message: `${tool} ${BECAUSE[because]}${certainty}.${last}`.slice(0, MESSAGE_LENGTH_MAX),
    reaction: 'terminal',
    details: lastError === undefined ? details : { ...details, lastError: { code: lastError.code, message: lastError.message } },
  };
}

/** An error is read by people and models: beyond this it says nothing more. */
const MESSAGE_LENGTH_MAX = 5_000;

/** Sets the timers that end the owner's patience after each fact that makes an attempt due, and takes them back when nothing is. */
export function withTimers(run: RunState, events: readonly RunEvent[], nowMs: number): readonly RunEvent[] {
  if (!events.some(({ type }) => CONCERNED.has(type))) return events;
  let state = run;
  return events.flatMap((event) => {
    const before = state;
    state = evolve(state, { ...event, atMs: nowMs });
    const call = isOpen(before) && isOpen(state) && CONCERNED.has(event.type) ? callOf(before, event) : undefined;
    if (call === undefined || !isOpen(state)) return [event];
    const mark = event.report === undefined ? {} : { report: event.report };
    const timers = [...takenBack(state, call), ...newTimers(state, call, event)].map((timer) => ({ ...timer, ...mark }));
    state = timers.reduce<RunState>(evolve, state);
    return [event, ...timers];
  });
}

const CONCERNED: ReadonlySet<RunEvent['type']> = new Set([
  'EffectIntended',
  'EffectReconciled',
  'EffectConfirmed',
  'EffectFailed',
  'EffectDeadLettered',
  'EffectRedriven',
  'ApprovalGranted',
  'TimerFired',
]);

function callOf(before: OpenRun, { type, data }: RunEvent): string | undefined {
  if (type === 'TimerFired') return before.timers.get(data.timerId)?.call;
  return 'call' in data && typeof data.call === 'string' ? data.call : undefined;
}

const PATIENCE: ReadonlySet<string> = new Set(['retry', 'start', 'total']);

/** Of a call that has ended, or that waits for a person: nothing is to be done at a certain time any more. */
function takenBack(run: OpenRun, call: string): readonly RunEvent[] {
  const open = run.calls.get(call);
  if (open !== undefined && (open.kind !== 'tool' || open.deadLetter === undefined)) return [];
  return [...run.timers.values()]
    .filter((timer) => timer.call === call && PATIENCE.has(timer.purpose))
    .map(({ timerId }) => ({ type: 'TimerCancelled', data: { timerId } }));
}

function newTimers(run: OpenRun, call: string, event: RunEvent): readonly RunEvent[] {
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.limits === undefined || open.deadLetter !== undefined) return [];
  if (open.execution !== undefined || open.waitsForRetry) return [];
  const { attempt, sinceMs, series, limits } = open;
  // What was set with the intention wakes for nothing when persons were asked meanwhile.
  const isGranted = event.type === 'ApprovalGranted';
  const set = (purpose: 'start' | 'total', dueAtMs: number): RunEvent => ({
    type: 'TimerSet',
    data: { timerId: `${purpose}-${call}-${attempt}${isGranted ? '-granted' : ''}`, purpose, call, dueAtMs },
  });
  const isNewSeries = event.type === 'EffectIntended' || event.type === 'EffectRedriven' || isGranted;
  const isDue =
    isNewSeries || event.type === 'EffectReconciled' || (event.type === 'TimerFired' && attempt > 1 && isRetry(event));
  return [
    ...(limits.scheduleToStartMs === undefined || !isDue ? [] : [set('start', sinceMs + limits.scheduleToStartMs)]),
    ...(limits.totalMs === undefined || !isNewSeries ? [] : [set('total', series.sinceMs + limits.totalMs)]),
  ];
}

function isRetry({ data }: RunEvent): boolean {
  return 'timerId' in data && /^(b\d+-)?retry-/.test(data.timerId);
}
