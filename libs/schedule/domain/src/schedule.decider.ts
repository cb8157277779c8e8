import { accept, canonicalJson, reject, unreachable, type Decider, type Decision, type ErrorRecord } from '@perdure/kernel';
import type { FiringResult, ScheduleCommand, ScheduleEvent, ScheduleSpec } from '@perdure/schedule-contract';
import { advance, judge, Unfolding } from './advance';
import { dueAt, nextTime, type ScheduleRules } from './calendar';
import { BACKFILLS_MAX } from './schedule.bounds';
import { mayBeErased } from './schedule.effects';
import { evolve } from './schedule.evolve';
import { isLive, noSchedule, type ScheduleState } from './schedule.state';

/** What is asked from outside, and what the owner learns by itself. */
export type DecidedCommand =
  | Exclude<ScheduleCommand, { readonly type: 'GetSchedule' | 'ListFirings' }>
  | { readonly type: 'Advance' }
  | { readonly type: 'NoteStarted'; readonly runId: string }
  | { readonly type: 'NoteRefused'; readonly runId: string; readonly error: ErrorRecord }
  | { readonly type: 'NoteCancelRequested'; readonly runId: string }
  | { readonly type: 'NoteErased' }
  | { readonly type: 'EndFiring'; readonly runId: string; readonly result: FiringResult };

export interface GivenCommand<C = DecidedCommand> {
  readonly command: C;
  /** Of the request: the same again is the same request. */
  readonly id: string;
  readonly by: string;
  readonly nowMs: number;
}

type Given<T extends DecidedCommand['type']> = GivenCommand<Extract<DecidedCommand, { readonly type: T }>>;
type Learnt = Extract<DecidedCommand, { readonly type: `Note${string}` | 'EndFiring'; readonly runId: string }>;
type Decided = Decision<ScheduleEvent, ErrorRecord>;

const CATCHING_UP_MS = 200;

export function scheduleDecider(rules: ScheduleRules): Decider<GivenCommand, ScheduleEvent, ScheduleState, ErrorRecord> {
  return { initial: noSchedule, evolve, decide: (given, state) => decide(rules, given, state) };
}

function decide(rules: ScheduleRules, given: GivenCommand, state: ScheduleState): Decided {
  const { command } = given;
  if (command.type === 'CreateSchedule') return create(rules, { ...given, command }, state);
  if (command.type === 'NoteErased') return noteErased(state, given.nowMs);
  if (isLearnt(command)) return state.status === 'none' ? accept() : learn(new Unfolding(rules, state, given.nowMs), command);
  if (command.type === 'DeleteSchedule' && state.status === 'deleted') return accept();
  if (command.type === 'Advance' && !isLive(state)) return accept();
  if (!isLive(state)) return refuse('ScheduleNotFound', 'There is no such schedule. Create it, or see the list of schedules.');
  const unfolding = new Unfolding(rules, state, given.nowMs);
  switch (command.type) {
    case 'Advance':
      return after(unfolding);
    case 'UpdateSchedule':
      return update(unfolding, { ...given, command });
    case 'PauseSchedule':
      return pause(unfolding, { ...given, command });
    case 'ResumeSchedule':
      if (state.paused === undefined) return accept();
      unfolding.add({ type: 'ScheduleResumed', data: said(given, command.note) });
      return after(unfolding);
    case 'DeleteSchedule':
      return accept({ type: 'ScheduleDeleted', data: said(given, command.note) });
    case 'RunNow':
      if (state.askedIds.includes(given.id)) return accept();
      judge(unfolding, { nominalAtMs: given.nowMs, cause: { by: 'run-now', id: given.id } }, command.overlap);
      return accept(...unfolding.events);
    case 'Backfill':
      return backfill(unfolding, { ...given, command });
    default:
      return unreachable(command);
  }
}

function create(rules: ScheduleRules, { command, by, nowMs }: Given<'CreateSchedule'>, state: ScheduleState): Decided {
  const { spec } = command;
  if (isLive(state)) {
    if (canonicalJson(state.spec) === canonicalJson(spec)) return accept();
    return refuse(
      'ScheduleAlreadyExists',
      'There is a schedule of this id that says something else. Update it, or choose another id.',
    );
  }
  if (state.status === 'deleted' && state.erased === undefined) return reject(ending());
  const problem = problemOf(rules, spec, nowMs);
  if (problem !== undefined) return reject(problem);
  const generation = state.status === 'none' ? 1 : state.generation + 1;
  return accept({ type: 'ScheduleCreated', data: { spec, generation, by, atMs: nowMs } });
}

function noteErased(state: ScheduleState, atMs: number): Decided {
  if (state.status === 'none' || !mayBeErased(state)) return accept();
  return accept({ type: 'ScheduleErased', data: { atMs } });
}

/** What is wrong with a specification, seen from now. */
function problemOf({ times }: ScheduleRules, spec: ScheduleSpec, nowMs: number): ErrorRecord | undefined {
  const problem = times.problemOf(spec);
  if (problem !== undefined) return problem;
  if (times.next(spec, nowMs) !== undefined) return undefined;
  return {
    code: 'NeverFires',
    message: 'None of its times lies ahead: look at the rules, what they exclude, and when it starts and ends.',
    reaction: 'terminal',
  };
}

function update(unfolding: Unfolding, given: Given<'UpdateSchedule'>): Decided {
  const { command, nowMs } = given;
  const { spec, note } = command;
  if (canonicalJson(spec) === canonicalJson(unfolding.state.spec)) return accept();
  if (command.version !== undefined && command.version !== unfolding.state.version)
    return refuse('ScheduleChanged', `It is at version ${unfolding.state.version} by now. Look at it, and decide again.`);
  const problem = problemOf(unfolding.rules, spec, nowMs);
  if (problem !== undefined) return reject(problem);
  // What was due until now is due by what was said until now.
  advance(unfolding);
  if (isBehind(unfolding)) return reject(catchingUp());
  unfolding.add({ type: 'ScheduleUpdated', data: { spec, version: unfolding.state.version + 1, ...said(given, note) } });
  return after(unfolding);
}

function pause(unfolding: Unfolding, given: Given<'PauseSchedule'>): Decided {
  if (unfolding.state.paused !== undefined) return accept();
  advance(unfolding);
  if (isBehind(unfolding)) return reject(catchingUp());
  unfolding.add({ type: 'SchedulePaused', data: { because: 'asked', ...said(given, given.command.note) } });
  return accept(...unfolding.events);
}

function backfill(unfolding: Unfolding, { command, id, by, nowMs }: Given<'Backfill'>): Decided {
  const { fromMs, toMs, overlap } = command;
  if (unfolding.state.askedIds.includes(id)) return accept();
  if (toMs < fromMs || toMs > nowMs)
    return refuse('InvalidBackfill', 'A backfill goes from an earlier to a later time that has passed.');
  if (unfolding.state.backfills.length >= BACKFILLS_MAX)
    return refuse('TooManyBackfills', `${BACKFILLS_MAX} backfills of this schedule are under way. Wait for one of them.`);
  unfolding.add({ type: 'BackfillRequested', data: { id, fromMs, toMs, overlap, by, atMs: nowMs } });
  return after(unfolding);
}

function isLearnt(command: DecidedCommand): command is Learnt {
  return command.type === 'EndFiring' || command.type.startsWith('Note');
}

/** What the owners of runs have said; what is not open any more was said before. */
function learn(unfolding: Unfolding, command: Learnt): Decided {
  const { runId } = command;
  const { nowMs: atMs } = unfolding;
  const firing = unfolding.state.open.find((one) => one.runId === runId);
  if (firing === undefined) return accept();
  switch (command.type) {
    case 'NoteStarted':
      return firing.status === 'due' ? accept({ type: 'FiringStarted', data: { runId, atMs } }) : accept();
    case 'NoteCancelRequested':
      return firing.cancel === 'wanted' ? accept({ type: 'FiringCancelRequested', data: { runId, atMs } }) : accept();
    case 'NoteRefused':
      if (firing.status !== 'due') return accept();
      unfolding.add({ type: 'FiringRefused', data: { runId, error: command.error, atMs } });
      return after(unfolding);
    case 'EndFiring':
      unfolding.add({ type: 'FiringEnded', data: { runId, result: command.result, atMs } });
      return after(unfolding);
  }
}

function after(unfolding: Unfolding): Decided {
  pauseOnFailures(unfolding);
  if (unfolding.state.status === 'live') advance(unfolding);
  return accept(...unfolding.events);
}

function pauseOnFailures(unfolding: Unfolding): void {
  const { state, nowMs: atMs } = unfolding;
  const { pauseAfterFailures } = state.spec;
  if (pauseAfterFailures === undefined || state.failuresInARow < pauseAfterFailures) return;
  if (state.status !== 'live' || state.paused !== undefined) return;
  const note = `${state.failuresInARow} runs in a row did not complete`;
  unfolding.add({ type: 'SchedulePaused', data: { because: 'failures', note, by: 'schedule', atMs } });
}

function isBehind({ rules, state, nowMs }: Unfolding): boolean {
  const next = nextTime(rules, state);
  return next !== undefined && dueAt(rules, state, next) <= nowMs;
}

function said({ by, nowMs }: GivenCommand<unknown>, note: string | undefined) {
  return { by, atMs: nowMs, ...(note === undefined ? {} : { note }) };
}

function refuse(code: string, message: string): Decided {
  return reject({ code, message, reaction: 'terminal' });
}

function ending(): ErrorRecord {
  const message = 'The one of this id that was deleted has runs that are still being started. Try again a little later.';
  return { code: 'ScheduleEnding', message, reaction: 'retryable', retryAfterMs: CATCHING_UP_MS };
}

function catchingUp(): ErrorRecord {
  const message = 'It is catching up with times that it has missed. Try again a little later.';
  return { code: 'ScheduleCatchingUp', message, reaction: 'retryable', retryAfterMs: CATCHING_UP_MS };
}
