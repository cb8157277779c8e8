import { InvariantViolated } from '@perdure/kernel';
import type { FiringCause, ScheduleEvent, ScheduleEventOf } from '@perdure/schedule-contract';
import { ASKED_IDS_KEPT, RECENT_KEPT } from './schedule.bounds';
import type { EndedFiring, FiringTime, KnownSchedule, OpenFiring } from './schedule.state';

type Of<T extends FiringEvent['type']> = ScheduleEventOf<T>['data'];
export type FiringEvent = Extract<ScheduleEvent, { readonly type: `Firing${string}` | `Backfill${string}` }>;

export function evolveFiring(state: KnownSchedule, event: FiringEvent): KnownSchedule {
  switch (event.type) {
    case 'BackfillRequested': {
      const { id, fromMs, toMs, overlap } = event.data;
      const backfill = { id, fromMs, toMs, overlap, doneUntilMs: fromMs - 1 };
      return { ...state, backfills: [...state.backfills, backfill], askedIds: withId(state, id) };
    }
    case 'BackfillEnded':
      return { ...state, backfills: state.backfills.filter(({ id }) => id !== event.data.id) };
    case 'FiringDue':
      return due(state, event.data);
    case 'FiringBuffered':
      return buffered(state, event.data);
    case 'FiringSkipped':
      return skipped(state, event.data);
    case 'FiringsMissed': {
      const { untilMs, count } = event.data;
      return { ...state, doneUntilMs: Math.max(state.doneUntilMs, untilMs), missed: state.missed + count };
    }
    case 'FiringStarted':
      return changed(state, event.data.runId, (firing) => ({ ...firing, status: 'started' }));
    case 'FiringCancelRequested':
      return changed(state, event.data.runId, (firing) => ({ ...firing, cancel: 'requested' }));
    case 'FiringRefused': {
      const { runId, atMs, error } = event.data;
      const { code, message, reaction } = error;
      return ended(state, { runId, endedAtMs: atMs, result: 'refused', error: { code, message, reaction } });
    }
    case 'FiringEnded': {
      const { runId, atMs, result } = event.data;
      return ended(state, { runId, endedAtMs: atMs, result });
    }
  }
}

function due(state: KnownSchedule, data: Of<'FiringDue'>): KnownSchedule {
  const { runId, nominalAtMs, cause, atMs, version, wasBuffered } = data;
  if (state.open.some((firing) => firing.runId === runId))
    throw new InvariantViolated('FiringDue of a run that is open', { runId });
  const firing: OpenFiring = { runId, nominalAtMs, cause, decidedAtMs: atMs, version, status: 'due' };
  const before = wasBuffered === true ? { ...state, buffer: without(state.buffer, data) } : counted(decided(state, data), cause);
  return { ...before, open: [...before.open, firing] };
}

function buffered(state: KnownSchedule, data: Of<'FiringBuffered'>): KnownSchedule {
  const { nominalAtMs, cause, cancelsOther } = data;
  const open =
    cancelsOther === true
      ? state.open.map((firing): OpenFiring => (firing.cancel === undefined ? { ...firing, cancel: 'wanted' } : firing))
      : state.open;
  const after = counted(decided(state, data), cause);
  return { ...after, open, buffer: [...after.buffer, { nominalAtMs, cause }] };
}

function skipped(state: KnownSchedule, data: Of<'FiringSkipped'>): KnownSchedule {
  const { nominalAtMs, cause, reason } = data;
  const before = reason === 'replaced' ? replaced(state, data) : decided(state, data);
  const recentlySkipped = [...before.recentlySkipped, { nominalAtMs, cause, reason }].slice(-RECENT_KEPT);
  return { ...before, skipped: before.skipped + 1, recentlySkipped };
}

/** It was counted when it began to wait, and does not fire after all. */
function replaced(state: KnownSchedule, time: FiringTime): KnownSchedule {
  const fired = state.fired - (time.cause.by === 'times' ? 1 : 0);
  return { ...state, fired, buffer: without(state.buffer, time) };
}

/** Of this time it is known what becomes of it. */
function decided(state: KnownSchedule, { cause, nominalAtMs }: FiringTime): KnownSchedule {
  switch (cause.by) {
    case 'times':
      return { ...state, doneUntilMs: Math.max(state.doneUntilMs, nominalAtMs) };
    case 'backfill': {
      const backfills = state.backfills.map((backfill) =>
        backfill.id === cause.id ? { ...backfill, doneUntilMs: Math.max(backfill.doneUntilMs, nominalAtMs) } : backfill,
      );
      return { ...state, backfills };
    }
    case 'run-now':
      return { ...state, askedIds: withId(state, cause.id) };
  }
}

function counted(state: KnownSchedule, cause: FiringCause): KnownSchedule {
  return cause.by === 'times' ? { ...state, fired: state.fired + 1 } : state;
}

function changed(state: KnownSchedule, runId: string, change: (firing: OpenFiring) => OpenFiring): KnownSchedule {
  openOf(state, runId);
  return { ...state, open: state.open.map((firing) => (firing.runId === runId ? change(firing) : firing)) };
}

/** What a person, or the policy of the schedule, has cancelled is no failure. */
const FAILURES: ReadonlySet<EndedFiring['result']> = new Set(['failed', 'timed-out', 'refused']);

function ended(state: KnownSchedule, end: Pick<EndedFiring, 'runId' | 'endedAtMs' | 'result' | 'error'>): KnownSchedule {
  const { nominalAtMs, cause, decidedAtMs } = openOf(state, end.runId);
  const isCompleted = end.result === 'completed';
  return {
    ...state,
    open: state.open.filter(({ runId }) => runId !== end.runId),
    recent: [...state.recent, { nominalAtMs, cause, decidedAtMs, ...end }].slice(-RECENT_KEPT),
    completed: state.completed + (isCompleted ? 1 : 0),
    notCompleted: state.notCompleted + (isCompleted ? 0 : 1),
    failuresInARow: isCompleted ? 0 : state.failuresInARow + (FAILURES.has(end.result) ? 1 : 0),
  };
}

function openOf(state: KnownSchedule, runId: string): OpenFiring {
  const found = state.open.find((firing) => firing.runId === runId);
  if (found === undefined) throw new InvariantViolated('A fact of a firing that is not open', { runId });
  return found;
}

function without(buffer: readonly FiringTime[], { nominalAtMs, cause }: FiringTime): readonly FiringTime[] {
  return buffer.filter((time) => time.nominalAtMs !== nominalAtMs || !isSameCause(time.cause, cause));
}

function isSameCause(left: FiringCause, right: FiringCause): boolean {
  if (left.by === 'times' || right.by === 'times') return left.by === right.by;
  return left.by === right.by && left.id === right.id;
}

function withId(state: KnownSchedule, id: string): readonly string[] {
  return [...state.askedIds, id].slice(-ASKED_IDS_KEPT);
}
