import type { FiringIdentity, ScheduleTimes } from '@perdure/schedule-contract';
import { isTicking, type KnownSchedule } from './schedule.state';

/** What a decider asks of its surroundings: pure, each of them. */
export interface ScheduleRules {
  readonly times: ScheduleTimes;
  runIdOf(generation: number, firing: FiringIdentity): string;
  /** In [0, 1), and always the same for the same time. */
  fractionOf(nominalAtMs: number): number;
}

/** The next of its times that nothing is decided about. */
export function nextTime(rules: ScheduleRules, state: KnownSchedule): number | undefined {
  return isTicking(state) ? rules.times.next(state.spec, state.doneUntilMs) : undefined;
}

/** When a time fires: late by its jitter, but not later than the time after it, so that times keep their order. */
export function dueAt({ times, fractionOf }: ScheduleRules, { spec }: Pick<KnownSchedule, 'spec'>, nominalAtMs: number): number {
  if (spec.jitterMs === 0) return nominalAtMs;
  const after = times.next(spec, nominalAtMs);
  const room = after === undefined ? spec.jitterMs : Math.min(spec.jitterMs, after - nominalAtMs);
  return nominalAtMs + Math.floor(fractionOf(nominalAtMs) * room);
}
