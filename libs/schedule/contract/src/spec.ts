import { displayName, nameToken, runKind, runLimits, TIMER_DELAY_MS_MAX, userValue } from '@perdure/run-contract';
import { z } from 'zod';
import { CATCH_UP_MS_DEFAULT, EXCEPTIONS_MAX, INTERVAL_MS_MIN, JITTER_MS_MAX, SPAN_MS_MAX, WHEN_MAX } from './limits';

/** What a schedule is: what it starts, when, and what happens when one is due while another is under way. */

const timestampMs = z.number().int().nonnegative();
const cronExpression = z.string().min(1).max(200);

export const startedBySchedule = z.strictObject({
  kind: runKind.optional(),
  name: displayName,
  input: userValue,
  pool: nameToken.optional(),
  deadlineMs: z.number().int().positive().max(TIMER_DELAY_MS_MAX).optional(),
  limits: runLimits.optional(),
});
export type StartedBySchedule = z.infer<typeof startedBySchedule>;

export const whenRule = z.discriminatedUnion('type', [
  /** Five fields, six with seconds before them, or a name such as `@daily`; by the wall clock of the zone. */
  z.strictObject({ type: z.literal('cron'), expression: cronExpression }),
  /** Multiples of `everyMs` since 1970-01-01T00:00Z, moved by `offsetMs`: no zone has a say in them. */
  z.strictObject({
    type: z.literal('interval'),
    everyMs: z.number().int().min(INTERVAL_MS_MIN).max(SPAN_MS_MAX),
    offsetMs: z.number().int().nonnegative().max(SPAN_MS_MAX).default(0),
  }),
  z.strictObject({ type: z.literal('at'), atMs: timestampMs }),
]);
export type WhenRule = z.infer<typeof whenRule>;

export const exceptRule = z.discriminatedUnion('type', [
  /** A whole day of the zone. */
  z.strictObject({ type: z.literal('date'), date: z.string().regex(/^\d{4}-\d{2}-\d{2}$/, 'a date such as 2026-12-24') }),
  /** Each time whose wall clock it matches; without seconds, each minute as a whole. */
  z.strictObject({ type: z.literal('cron'), expression: cronExpression }),
]);
export type ExceptRule = z.infer<typeof exceptRule>;

/**
 * What happens at a time at which an earlier run of the schedule has not ended. `skip`: nothing. `buffer-one`, `buffer-all`: it waits for
 * the end. `cancel-other`: the earlier one is cancelled, and when it has ended this one begins. `allow-all`: both run.
 */
export const overlapPolicy = z.enum(['skip', 'buffer-one', 'buffer-all', 'cancel-other', 'allow-all']);
export type OverlapPolicy = z.infer<typeof overlapPolicy>;

export const scheduleSpec = z.strictObject({
  start: startedBySchedule,
  when: z.array(whenRule).min(1).max(WHEN_MAX),
  timeZone: z.string().min(1).max(100).default('UTC'),
  except: z.array(exceptRule).max(EXCEPTIONS_MAX).default([]),
  /** Times before it, and after `endAtMs`, are none. */
  startAtMs: timestampMs.optional(),
  endAtMs: timestampMs.optional(),
  /** Each firing is late by a part of this that follows from schedule and time, never beyond the time after it. */
  jitterMs: z.number().int().nonnegative().max(JITTER_MS_MAX).default(0),
  overlap: overlapPolicy.default('skip'),
  /** A time that was missed by more than this is recorded as missed, and fires no more. */
  catchUpMs: z.number().int().nonnegative().max(SPAN_MS_MAX).default(CATCH_UP_MS_DEFAULT),
  /** After so many firings by its times it is finished. */
  firingsMax: z.number().int().positive().max(1_000_000_000).optional(),
  /** After so many runs in a row that did not complete it is paused. */
  pauseAfterFailures: z.number().int().positive().max(1_000).optional(),
});
export type ScheduleSpec = z.infer<typeof scheduleSpec>;
export type ScheduleSpecInput = z.input<typeof scheduleSpec>;

export type WhenSpec = Pick<ScheduleSpec, 'when' | 'timeZone' | 'except' | 'startAtMs' | 'endAtMs'>;
