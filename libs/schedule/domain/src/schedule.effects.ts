import { mustWait, releasable } from './advance';
import { dueAt, nextTime, type ScheduleRules } from './calendar';
import { isLive, type KnownSchedule, type Ordered, type ScheduleState } from './schedule.state';

/** What remains to be done outside, from state alone. */
export type ScheduleEffect =
  | { readonly type: 'StartRun'; readonly runId: string; readonly ordered: Ordered }
  | { readonly type: 'CancelRun'; readonly runId: string }
  | { readonly type: 'EraseInputs'; readonly generation: number };
/** What the owner of a run is asked for. */
export type RunEffect = Extract<ScheduleEffect, { readonly runId: string }>;

/** What is to be cancelled is started first: whoever asked for it before may have been heard. */
export function pendingEffects(state: ScheduleState): readonly ScheduleEffect[] {
  if (state.status === 'none') return [];
  const effects: ScheduleEffect[] = [];
  for (const { runId, status, cancel, version } of state.open) {
    const ordered = state.starts[version];
    if (status === 'due' && ordered !== undefined) effects.push({ type: 'StartRun', runId, ordered });
    else if (cancel === 'wanted') effects.push({ type: 'CancelRun', runId });
  }
  if (mayBeErased(state)) effects.push({ type: 'EraseInputs', generation: state.generation });
  return effects;
}

/** What is still to be started needs its input. */
export function mayBeErased({ status, erased, open }: KnownSchedule): boolean {
  return status === 'deleted' && erased === undefined && open.every((firing) => firing.status !== 'due');
}

/** When there will be something to decide; it may have passed. */
export function nextLookAtMs(rules: ScheduleRules, state: ScheduleState): number | undefined {
  if (!isLive(state)) return undefined;
  if (releasable(state) !== undefined || state.backfills.some((backfill) => !mustWait(state, backfill))) return 0;
  const next = nextTime(rules, state);
  return next === undefined ? undefined : dueAt(rules, state, next);
}
