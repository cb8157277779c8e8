import { actor, nameToken } from '@perdure/run-contract';
import { z } from 'zod';
import { FIRINGS_MAX, LISTED_MAX, NEXT_TIMES_MAX } from './limits';
import { overlapPolicy, scheduleSpec } from './spec';

const note = z.string().max(2_000).optional();
const timestampMs = z.number().int().nonnegative();

export const scheduleCommand = z.discriminatedUnion('type', [
  /** The same again gets the same answer; another specification under the same id is refused. */
  z.object({ type: z.literal('CreateSchedule'), spec: scheduleSpec }),
  /** The whole new specification. With `version`, only if that is the present one. */
  z.object({
    type: z.literal('UpdateSchedule'),
    spec: scheduleSpec,
    version: z.number().int().positive().optional(),
    note,
  }),
  z.object({ type: z.literal('PauseSchedule'), note }),
  z.object({ type: z.literal('ResumeSchedule'), note }),
  z.object({ type: z.literal('DeleteSchedule'), note }),
  /** One run now, whatever its times are. The id of the request makes it one. */
  z.object({ type: z.literal('RunNow'), overlap: overlapPolicy.default('allow-all') }),
  /** The times from `fromMs` to `toMs`, both included, again. */
  z.object({ type: z.literal('Backfill'), fromMs: timestampMs, toMs: timestampMs, overlap: overlapPolicy.default('buffer-all') }),
  z.object({ type: z.literal('GetSchedule'), next: z.number().int().nonnegative().max(NEXT_TIMES_MAX).default(5) }),
  z.object({ type: z.literal('ListFirings'), limit: z.number().int().positive().max(FIRINGS_MAX).default(20) }),
]);
export type ScheduleCommand = z.infer<typeof scheduleCommand>;

export const scheduleEnvelope = z.object({ v: z.literal(1), id: z.uuidv7(), actor, command: scheduleCommand });
export type ScheduleEnvelope = z.infer<typeof scheduleEnvelope>;
export type ScheduleEnvelopeInput = z.input<typeof scheduleEnvelope>;

/** Which schedules a tenant has, in the order of their ids; asked of any instance that keeps schedules. */
export const schedulesRequest = z.object({
  v: z.literal(1),
  command: z.object({
    type: z.literal('ListSchedules'),
    after: nameToken.optional(),
    limit: z.number().int().positive().max(LISTED_MAX).default(50),
  }),
});
export type SchedulesRequest = z.infer<typeof schedulesRequest>;
export type SchedulesRequestInput = z.input<typeof schedulesRequest>;
