import { calendarTimes } from '@perdure/platform-schedule-times';
import {
  scheduleSpec,
  type ScheduleEvent,
  type ScheduleEventOf,
  type ScheduleSpec,
  type ScheduleSpecInput,
} from '@perdure/schedule-contract';
import { deciderSpec } from '@perdure/testing';
import type { ScheduleRules } from './calendar';
import { scheduleDecider, type DecidedCommand, type GivenCommand } from './schedule.decider';
import { pendingEffects } from './schedule.effects';

/** Words in which specs of schedules are written: one that fires each minute, created at its beginning. */

export const MINUTE = 60_000;
export const T0 = Date.parse('2026-01-01T00:00:00Z');
/** So many minutes after it was created. */
export const minute = (count: number): number => T0 + count * MINUTE;

export const rules: ScheduleRules = {
  times: calendarTimes,
  runIdOf: (generation, firing) =>
    firing.by === 'times'
      ? `run-${generation}-${(firing.nominalAtMs - T0) / MINUTE}`
      : firing.by === 'backfill'
        ? `fill-${firing.id}-${(firing.nominalAtMs - T0) / MINUTE}`
        : `now-${firing.id}`,
  fractionOf: () => 0.5,
};

export const given = deciderSpec(scheduleDecider(rules), pendingEffects);

export const spec = (how: Partial<ScheduleSpecInput> = {}): ScheduleSpec =>
  scheduleSpec.parse({ start: { name: 'report', input: { n: 1 } }, when: [{ type: 'interval', everyMs: MINUTE }], ...how });

export const created = (how: Partial<ScheduleSpecInput> = {}): ScheduleEvent => ({
  type: 'ScheduleCreated',
  data: { spec: spec(how), generation: 1, by: 'ann', atMs: T0 },
});

export const at = (nowMs: number, command: DecidedCommand, id = 'request-1'): GivenCommand => ({ command, id, by: 'ann', nowMs });
export const advanceAt = (nowMs: number): GivenCommand => at(nowMs, { type: 'Advance' });

type More<T extends ScheduleEvent['type']> = Partial<ScheduleEventOf<T>['data']>;

const times = { by: 'times' } as const;

export const due = (count: number, atMs = minute(count), more: More<'FiringDue'> = {}): ScheduleEvent => ({
  type: 'FiringDue',
  data: { runId: `run-1-${count}`, nominalAtMs: minute(count), cause: times, version: 1, atMs, ...more },
});

export const skipped = (count: number, atMs: number, more: More<'FiringSkipped'> = {}): ScheduleEvent => ({
  type: 'FiringSkipped',
  data: { nominalAtMs: minute(count), cause: times, atMs, reason: 'overlap', ...more },
});

export const buffered = (count: number, atMs: number, more: More<'FiringBuffered'> = {}): ScheduleEvent => ({
  type: 'FiringBuffered',
  data: { nominalAtMs: minute(count), cause: times, atMs, ...more },
});

export const started = (runId: string, atMs: number): ScheduleEvent => ({ type: 'FiringStarted', data: { runId, atMs } });

export const ended = (
  runId: string,
  atMs: number,
  result: ScheduleEventOf<'FiringEnded'>['data']['result'] = 'completed',
): ScheduleEvent => ({ type: 'FiringEnded', data: { runId, result, atMs } });

export const paused = (atMs: number, more: More<'SchedulePaused'> = {}): ScheduleEvent => ({
  type: 'SchedulePaused',
  data: { because: 'asked', by: 'ann', atMs, ...more },
});
