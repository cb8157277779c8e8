import type { FiringView, ScheduleLine, ScheduleView } from '@perdure/schedule-contract';
import { dueAt, type ScheduleRules } from './calendar';
import { isTicking, remainingOf, type KnownSchedule, type OpenFiring } from './schedule.state';

/** Open firings in one view. */
const OPEN_SHOWN = 20;

export function scheduleViewOf(
  rules: ScheduleRules,
  state: KnownSchedule,
  { tenant, scheduleId, next: count }: { readonly tenant: string; readonly scheduleId: string; readonly next: number },
): ScheduleView {
  const remaining = remainingOf(state);
  const { fired, skipped, missed, completed, notCompleted } = state;
  return {
    scheduleId,
    tenant,
    status: statusOf(rules, state),
    spec: state.spec,
    version: state.version,
    createdAtMs: state.createdAtMs,
    createdBy: state.createdBy,
    changedAtMs: state.changedAtMs,
    ...(state.paused === undefined ? {} : { paused: state.paused }),
    next: nextTimes(rules, state, Math.min(count, remaining ?? count)),
    open: state.open.slice(0, OPEN_SHOWN).map(openView),
    openCount: state.open.length,
    bufferedCount: state.buffer.length,
    recent: [...state.recent].reverse().map((firing) => ({ ...firing, status: 'ended' })),
    recentlySkipped: [...state.recentlySkipped].reverse(),
    totals: { fired, skipped, missed, completed, notCompleted },
    ...(remaining === undefined ? {} : { remaining }),
    backfills: [...state.backfills],
  };
}

/** What a list shows of it. */
export function scheduleLineOf(view: ScheduleView): ScheduleLine {
  const { scheduleId, tenant, status, version, createdBy, openCount, totals, spec, next } = view;
  const { when, timeZone, overlap, start } = spec;
  const [first] = next;
  const line = { scheduleId, tenant, status, version, createdBy, openCount, totals, name: start.name, when, timeZone, overlap };
  return first === undefined ? line : { ...line, nextAtMs: first.dueAtMs };
}

function statusOf({ times }: ScheduleRules, state: KnownSchedule): ScheduleView['status'] {
  if (state.status === 'deleted') return 'deleted';
  if (state.paused !== undefined) return 'paused';
  return isTicking(state) && times.next(state.spec, state.doneUntilMs) !== undefined ? 'active' : 'finished';
}

/** Of a paused one: those that it would have. */
function nextTimes(rules: ScheduleRules, state: KnownSchedule, count: number): ScheduleView['next'] {
  const found: { readonly nominalAtMs: number; readonly dueAtMs: number }[] = [];
  let after = state.doneUntilMs;
  while (state.status === 'live' && found.length < count) {
    const nominalAtMs = rules.times.next(state.spec, after);
    if (nominalAtMs === undefined) break;
    found.push({ nominalAtMs, dueAtMs: dueAt(rules, state, nominalAtMs) });
    after = nominalAtMs;
  }
  return found;
}

function openView({ runId, nominalAtMs, cause, decidedAtMs, status, cancel }: OpenFiring): FiringView {
  return { runId, nominalAtMs, cause, decidedAtMs, status: cancel === undefined ? status : 'cancelling' };
}
