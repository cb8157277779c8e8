import { InvariantViolated, unreachable } from '@perdure/kernel';
import type { ScheduleEvent, ScheduleEventOf } from '@perdure/schedule-contract';
import { evolveFiring, type FiringEvent } from './evolve-firing';
import { isLive, type KnownSchedule, type ScheduleState } from './schedule.state';

/** What a fact changes. Nothing here depends on a calendar. */
export function evolve(state: ScheduleState, event: ScheduleEvent): ScheduleState {
  if (event.type === 'ScheduleCreated') return created(state, event.data);
  if (state.status === 'none') throw new InvariantViolated(`${event.type} of a schedule that was never created`);
  switch (event.type) {
    case 'ScheduleUpdated':
      return updated(state, event.data);
    case 'SchedulePaused': {
      const { because, note, by, atMs } = event.data;
      const paused = { because, by, atMs, ...(note === undefined ? {} : { note }) };
      return { ...state, paused, changedAtMs: atMs };
    }
    case 'ScheduleResumed': {
      const { paused: _, ...rest } = state;
      const { atMs } = event.data;
      return { ...rest, changedAtMs: atMs, failuresInARow: 0, doneUntilMs: Math.max(state.doneUntilMs, atMs) };
    }
    case 'ScheduleDeleted':
      return withStarts({ ...state, status: 'deleted', changedAtMs: event.data.atMs, buffer: [], backfills: [] });
    case 'ScheduleErased':
      return erased(state);
    case 'BackfillRequested':
    case 'BackfillEnded':
    case 'FiringDue':
    case 'FiringBuffered':
    case 'FiringSkipped':
    case 'FiringsMissed':
    case 'FiringStarted':
    case 'FiringRefused':
    case 'FiringCancelRequested':
    case 'FiringEnded':
      return withStarts(evolveFiring(state, event satisfies FiringEvent));
    default:
      return unreachable(event);
  }
}

function created(state: ScheduleState, data: ScheduleEventOf<'ScheduleCreated'>['data']): KnownSchedule {
  if (isLive(state)) throw new InvariantViolated('ScheduleCreated of a schedule that is there');
  const { spec, generation, by, atMs } = data;
  const before = state.status === 'deleted' ? state : undefined;
  const version = (before?.version ?? 0) + 1;
  return {
    status: 'live',
    spec,
    version,
    generation,
    createdAtMs: atMs,
    createdBy: by,
    changedAtMs: atMs,
    // The clock may have been set back since the one before was deleted.
    doneUntilMs: Math.max(before?.doneUntilMs ?? 0, atMs),
    starts: { ...before?.starts, [version]: { start: spec.start, by } },
    open: before?.open ?? [],
    buffer: [],
    backfills: [],
    recent: [],
    recentlySkipped: [],
    askedIds: [],
    fired: 0,
    skipped: 0,
    missed: 0,
    completed: 0,
    notCompleted: 0,
    failuresInARow: 0,
  };
}

/** As whoever folds it from now on finds it: without what was sealed. */
function erased(state: KnownSchedule): KnownSchedule {
  const { paused: _, spec, ...rest } = state;
  const recent = state.recent.map(({ error: __, ...firing }) => firing);
  return { ...rest, erased: true, spec: { ...spec, start: { ...spec.start, input: null } }, starts: {}, recent };
}

function updated(state: KnownSchedule, { spec, version, by, atMs }: ScheduleEventOf<'ScheduleUpdated'>['data']): KnownSchedule {
  return withStarts({
    ...state,
    spec,
    version,
    changedAtMs: atMs,
    doneUntilMs: Math.max(state.doneUntilMs, atMs),
    starts: { ...state.starts, [version]: { start: spec.start, by } },
  });
}

/** Only what is still to be started needs to be known in an earlier version. */
function withStarts(state: KnownSchedule): KnownSchedule {
  const known = Object.keys(state.starts);
  if (known.length === 1) return state;
  const needed = new Set([state.version, ...state.open.filter(({ status }) => status === 'due').map(({ version }) => version)]);
  if (known.every((version) => needed.has(Number(version)))) return state;
  return {
    ...state,
    starts: Object.fromEntries(Object.entries(state.starts).filter(([version]) => needed.has(Number(version)))),
  };
}
