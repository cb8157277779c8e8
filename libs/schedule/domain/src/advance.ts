import type { FiringCause, OverlapPolicy, ScheduleEvent } from '@perdure/schedule-contract';
import { dueAt, nextTime, type ScheduleRules } from './calendar';
import { BACKFILL_OPEN_MAX, BUFFER_MAX, DECIDED_AT_ONCE_MAX, MISSED_COUNTED_MAX, OPEN_MAX } from './schedule.bounds';
import { evolve } from './schedule.evolve';
import type { Backfill, FiringTime, KnownSchedule } from './schedule.state';

/** Facts as they are decided, one upon the other. */
export class Unfolding {
  readonly events: ScheduleEvent[] = [];

  constructor(
    readonly rules: ScheduleRules,
    public state: KnownSchedule,
    readonly nowMs: number,
  ) {}

  add(event: ScheduleEvent): void {
    this.events.push(event);
    // Nothing here deletes or creates: what is known stays known.
    this.state = evolve(this.state, event) as KnownSchedule;
  }
}

/**
 * Whatever is due now: waiting times whose turn has come, its times, its backfills. At most so many decisions at once; what is left
 * is due at once again.
 */
export function advance(unfolding: Unfolding): void {
  release(unfolding);
  for (let decided = 0; decided < DECIDED_AT_ONCE_MAX && decideNext(unfolding); decided += 1);
  for (const { id } of unfolding.state.backfills) {
    for (let decided = 0; decided < DECIDED_AT_ONCE_MAX && fillNext(unfolding, id); decided += 1);
  }
}

function release(unfolding: Unfolding): void {
  for (let released = 0; released < DECIDED_AT_ONCE_MAX; released += 1) {
    const time = releasable(unfolding.state);
    if (time === undefined) return;
    const data = { ...dueData(unfolding, time), atMs: unfolding.nowMs, wasBuffered: true as const };
    unfolding.add({ type: 'FiringDue', data });
  }
}

/** The waiting time whose turn it is. While a schedule is paused, its own times go on waiting. */
export function releasable({ spec, open, buffer, paused }: KnownSchedule): FiringTime | undefined {
  const mayOverlap = spec.overlap === 'allow-all' && open.length < OPEN_MAX;
  if (open.length > 0 && !mayOverlap) return undefined;
  return buffer.find(({ cause }) => cause.by !== 'times' || paused === undefined);
}

/** @returns whether something was decided */
function decideNext(unfolding: Unfolding): boolean {
  const { rules, state, nowMs } = unfolding;
  const nominalAtMs = nextTime(rules, state);
  if (nominalAtMs === undefined) return false;
  const due = dueAt(rules, state, nominalAtMs);
  if (due > nowMs) return false;
  if (nowMs - due > state.spec.catchUpMs) miss(unfolding, nominalAtMs);
  else judge(unfolding, { nominalAtMs, cause: { by: 'times' } }, state.spec.overlap);
  return true;
}

function miss(unfolding: Unfolding, firstMs: number): void {
  const { rules, state, nowMs } = unfolding;
  const { catchUpMs, jitterMs } = state.spec;
  let untilMs = firstMs;
  let count = 1;
  for (;;) {
    const next = rules.times.next(state.spec, untilMs);
    if (next === undefined || nowMs - dueAt(rules, state, next) <= catchUpMs) break;
    if (count === MISSED_COUNTED_MAX) {
      untilMs = Math.max(untilMs, nowMs - catchUpMs - jitterMs - 1);
      unfolding.add({ type: 'FiringsMissed', data: { firstMs, untilMs, count, isAtLeast: true, atMs: nowMs } });
      return;
    }
    untilMs = next;
    count += 1;
  }
  unfolding.add({ type: 'FiringsMissed', data: { firstMs, untilMs, count, atMs: nowMs } });
}

/** @returns whether something was decided: the backfill may have to wait */
function fillNext(unfolding: Unfolding, id: string): boolean {
  const { rules, state, nowMs } = unfolding;
  const backfill = state.backfills.find((one) => one.id === id);
  if (backfill === undefined || mustWait(state, backfill)) return false;
  const nominalAtMs = rules.times.next(state.spec, backfill.doneUntilMs);
  if (nominalAtMs === undefined || nominalAtMs > backfill.toMs)
    unfolding.add({ type: 'BackfillEnded', data: { id, atMs: nowMs } });
  else judge(unfolding, { nominalAtMs, cause: { by: 'backfill', id } }, backfill.overlap);
  return true;
}

/** Its times are known: they need not be written down to wait for their turn. */
export function mustWait(state: KnownSchedule, { overlap }: Backfill): boolean {
  if (overlap === 'allow-all') return state.open.length >= BACKFILL_OPEN_MAX;
  return overlap === 'buffer-all' && (state.open.length > 0 || state.buffer.length > 0);
}

/** What becomes of a time that has come. */
export function judge(unfolding: Unfolding, time: FiringTime, overlap: OverlapPolicy): void {
  const { state, nowMs } = unfolding;
  const isFree = state.open.length === 0 && state.buffer.length === 0;
  const fire = (): void => unfolding.add({ type: 'FiringDue', data: { ...dueData(unfolding, time), atMs: nowMs } });
  const skip = (reason: 'overlap' | 'buffer-full' | 'too-many-open'): void =>
    unfolding.add({ type: 'FiringSkipped', data: { ...time, atMs: nowMs, reason } });
  const buffer = (): void => unfolding.add({ type: 'FiringBuffered', data: { ...time, atMs: nowMs } });
  switch (overlap) {
    case 'allow-all':
      return state.open.length < OPEN_MAX ? fire() : skip('too-many-open');
    case 'skip':
      return isFree ? fire() : skip('overlap');
    case 'buffer-one':
      return isFree ? fire() : state.buffer.length > 0 ? skip('overlap') : buffer();
    case 'buffer-all':
      return isFree ? fire() : state.buffer.length < BUFFER_MAX ? buffer() : skip('buffer-full');
    case 'cancel-other':
      return isFree ? fire() : replace(unfolding, time);
  }
}

/** It alone waits, for the end of what is cancelled. */
function replace(unfolding: Unfolding, time: FiringTime): void {
  const { nowMs } = unfolding;
  for (const other of unfolding.state.buffer)
    unfolding.add({ type: 'FiringSkipped', data: { ...other, atMs: nowMs, reason: 'replaced' } });
  unfolding.add({ type: 'FiringBuffered', data: { ...time, atMs: nowMs, cancelsOther: true } });
  release(unfolding);
}

function dueData({ rules, state }: Unfolding, { nominalAtMs, cause }: FiringTime) {
  return { runId: runIdOf(rules, state, { nominalAtMs, cause }), nominalAtMs, cause, version: state.version };
}

export function runIdOf(
  rules: ScheduleRules,
  { generation }: Pick<KnownSchedule, 'generation'>,
  { nominalAtMs, cause }: { readonly nominalAtMs: number; readonly cause: FiringCause },
): string {
  return rules.runIdOf(generation, cause.by === 'run-now' ? cause : { ...cause, nominalAtMs });
}
