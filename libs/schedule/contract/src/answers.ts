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

/** What a change is answered with. */
export const scheduleChanged = z.object({
  scheduleId: nameToken,
  version: z.number().int().positive(),
  /** Of a run that is started now. */
  runId: nameToken.optional(),
});
export type ScheduleChanged = z.infer<typeof scheduleChanged>;
