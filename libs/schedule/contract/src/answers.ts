import { errorRecord, nameToken } from '@perdure/run-contract';
import { z } from 'zod';
import { firingCause, firingResult, skipReason } from './events';
import { overlapPolicy, scheduleSpec } from './spec';

const timestampMs = z.number().int().nonnegative();
const count = z.number().int().nonnegative();

/** A run that a schedule has started, or is about to. */
export const firingView = z.object({
  nominalAtMs: timestampMs,
  cause: firingCause,
  runId: nameToken,
  status: z.enum(['due', 'started', 'cancelling', 'ended']),
  decidedAtMs: timestampMs,
  endedAtMs: timestampMs.optional(),
  result: firingResult.optional(),
  error: errorRecord.optional(),
});
export type FiringView = z.infer<typeof firingView>;

export const skippedView = z.object({ nominalAtMs: timestampMs, cause: firingCause, reason: skipReason });

export const scheduleStatus = z.enum(['active', 'paused', 'finished', 'deleted']);
export type ScheduleStatus = z.infer<typeof scheduleStatus>;

export const scheduleView = z.object({
  scheduleId: nameToken,
  tenant: nameToken,
  /** `finished`: none of its times is left. */
  status: scheduleStatus,
  spec: scheduleSpec,
  /** Counts its specifications: 1, and one more with each update. */
  version: z.number().int().positive(),
  createdAtMs: timestampMs,
  createdBy: z.string(),
  changedAtMs: timestampMs,
  paused: z
    .object({ because: z.enum(['asked', 'failures']), note: z.string().optional(), by: z.string(), atMs: timestampMs })
    .optional(),
  /** Its next times, and when each fires: later by its jitter. */
  next: z.array(z.object({ nominalAtMs: timestampMs, dueAtMs: timestampMs })),
  /** Runs that have not ended, oldest first; of many the first. */
  open: z.array(firingView),
  openCount: count,
  bufferedCount: count,
  /** Newest first. */
  recent: z.array(firingView),
  recentlySkipped: z.array(skippedView),
  /** `fired`: by its times. */
  totals: z.object({ fired: count, skipped: count, missed: count, completed: count, notCompleted: count }),
  /** Firings left, of a schedule that has only so many. */
  remaining: count.optional(),
  backfills: z.array(
    z.object({ id: z.string(), fromMs: timestampMs, toMs: timestampMs, doneUntilMs: timestampMs, overlap: overlapPolicy }),
  ),
});
export type ScheduleView = z.infer<typeof scheduleView>;

/** A schedule among others: without what it starts its runs with. */
export const scheduleLine = scheduleView
  .pick({ scheduleId: true, tenant: true, status: true, version: true, createdBy: true, openCount: true, totals: true })
  .extend({
    /** Of the agent or workflow. */
    name: z.string(),
    when: scheduleSpec.shape.when,
    timeZone: z.string(),
    overlap: overlapPolicy,
    nextAtMs: timestampMs.optional(),
  });
export type ScheduleLine = z.infer<typeof scheduleLine>;

export const scheduleList = z.object({
  schedules: z.array(scheduleLine),
  /** Of these nobody has told how they stand: ask again. */
  unanswered: z.array(nameToken),
  /** More come after this id. */
  next: nameToken.optional(),
});
export type ScheduleList = z.infer<typeof scheduleList>;

/** What has become of one of its times, or of somebody's wish for a run. */
export const firingLine = z.object({
  nominalAtMs: timestampMs,
  cause: firingCause,
  /** `dropped`: the schedule was deleted while it waited. */
  status: z.enum(['waiting', 'due', 'started', 'cancelling', 'ended', 'skipped', 'missed', 'dropped']),
  /** When it was decided. */
  atMs: timestampMs,
  runId: nameToken.optional(),
  endedAtMs: timestampMs.optional(),
  result: firingResult.optional(),
  error: errorRecord.optional(),
  skipped: skipReason.optional(),
  /** Times in a row that were missed: from `nominalAtMs` to `untilMs`. */
  missed: z.object({ untilMs: timestampMs, count, isAtLeast: z.literal(true).optional() }).optional(),
});
export type FiringLine = z.infer<typeof firingLine>;

export const firingList = z.object({
  /** What was decided last first. */
  firings: z.array(firingLine),
  /** False = there are older ones. */
  complete: z.boolean(),
});
export type FiringList = z.infer<typeof firingList>;

/** What a change is answered with. */
export const scheduleChanged = z.object({
  scheduleId: nameToken,
  version: z.number().int().positive(),
  /** Of a run that is started now. */
  runId: nameToken.optional(),
});
export type ScheduleChanged = z.infer<typeof scheduleChanged>;
