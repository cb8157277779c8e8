import { errorRecord, nameToken } from '@perdure/run-contract';
import { z } from 'zod';
import { overlapPolicy, scheduleSpec } from './spec';

const timestampMs = z.number().int().nonnegative();
const note = z.string().max(2_000);
const by = z.string().max(200);
const said = { note: note.optional(), by, atMs: timestampMs };
const askId = z.string().min(1).max(100);

export const firingCause = z.discriminatedUnion('by', [
  z.object({ by: z.literal('times') }),
  z.object({ by: z.literal('backfill'), id: askId }),
  z.object({ by: z.literal('run-now'), id: askId }),
]);
export type FiringCause = z.infer<typeof firingCause>;

export const skipReason = z.enum(['overlap', 'replaced', 'buffer-full', 'too-many-open']);
export type SkipReason = z.infer<typeof skipReason>;

/** How a run that a schedule has started ended; `refused`: it never began. */
export const firingResult = z.enum(['completed', 'failed', 'cancelled', 'timed-out', 'terminated', 'refused']);
export type FiringResult = z.infer<typeof firingResult>;

const ofTime = { nominalAtMs: timestampMs, cause: firingCause, atMs: timestampMs };

/** The facts of a schedule, by type: the present version of each shape. */
export const scheduleEventSchemas = {
  ScheduleCreated: z.object({ spec: scheduleSpec, generation: z.number().int().positive(), by, atMs: timestampMs }),
  /** The whole new specification: its times count from `atMs`. */
  ScheduleUpdated: z.object({ spec: scheduleSpec, version: z.number().int().positive(), ...said }),
  SchedulePaused: z.object({ because: z.enum(['asked', 'failures']), ...said }),
  /** Times while it was paused are none. */
  ScheduleResumed: z.object(said),
  ScheduleDeleted: z.object(said),
  /** After its deletion, when nothing of it is left to be started: what its payloads were sealed with is gone. */
  ScheduleErased: z.object({ atMs: timestampMs }),
  BackfillRequested: z.object({
    id: askId,
    fromMs: timestampMs,
    toMs: timestampMs,
    overlap: overlapPolicy,
    by,
    atMs: timestampMs,
  }),
  BackfillEnded: z.object({ id: askId, atMs: timestampMs }),
  /** It is decided that a run is started: a promise, until the owner of the run has answered. */
  FiringDue: z.object({
    runId: nameToken,
    ...ofTime,
    /** Which specification says what is started. */
    version: z.number().int().positive(),
    /** It had waited for the end of another. */
    wasBuffered: z.literal(true).optional(),
  }),
  FiringBuffered: z.object({
    ...ofTime,
    /** What is under way is to be cancelled. */
    cancelsOther: z.literal(true).optional(),
  }),
  FiringSkipped: z.object({ ...ofTime, reason: skipReason }),
  /** Times from `firstMs` to `untilMs` that were due longer ago than the schedule catches up with. */
  FiringsMissed: z.object({
    firstMs: timestampMs,
    /** The next one is later. */
    untilMs: timestampMs,
    count: z.number().int().positive(),
    /** There were more than were counted. */
    isAtLeast: z.literal(true).optional(),
    atMs: timestampMs,
  }),
  FiringStarted: z.object({ runId: nameToken, atMs: timestampMs }),
  /** The owner of the run has said no, for good. */
  FiringRefused: z.object({ runId: nameToken, error: errorRecord, atMs: timestampMs }),
  /** The owner of the run has heard that it is to be cancelled. */
  FiringCancelRequested: z.object({ runId: nameToken, atMs: timestampMs }),
  FiringEnded: z.object({ runId: nameToken, result: firingResult, atMs: timestampMs }),
} as const;

/** Said of every event, beside its data. */
export const scheduleEventMetadata = z.object({
  schemaVersion: z.number().int().positive(),
  $correlationId: nameToken,
  $causationId: z.string(),
  tenant: nameToken,
  actor: by,
  /** Payloads that are sealed: at each path stands an empty value of the same kind. */
  payloads: z.array(z.object({ at: z.string(), sealed: z.string() })).optional(),
  /** What they are sealed with. */
  keyId: nameToken.optional(),
});
export type ScheduleEventMetadata = z.infer<typeof scheduleEventMetadata>;

/** Where payloads are: what a person, or the code that is started, alone should see. Sealed, where sealing is on. */
export const SCHEDULE_PAYLOAD_PATHS: Partial<Record<ScheduleEventType, readonly string[]>> = {
  ScheduleCreated: ['spec.start.input'],
  ScheduleUpdated: ['spec.start.input', 'note'],
  SchedulePaused: ['note'],
  ScheduleResumed: ['note'],
  ScheduleDeleted: ['note'],
  FiringRefused: ['error.message', 'error.details'],
};

export type ScheduleEventType = keyof typeof scheduleEventSchemas;
export type ScheduleEvent = {
  [T in ScheduleEventType]: { readonly type: T; readonly data: z.infer<(typeof scheduleEventSchemas)[T]> };
}[ScheduleEventType];
export type ScheduleEventOf<T extends ScheduleEventType> = Extract<ScheduleEvent, { readonly type: T }>;

export const SCHEDULE_EVENT_TYPES = Object.keys(scheduleEventSchemas) as readonly ScheduleEventType[];

export function isScheduleEventType(type: string): type is ScheduleEventType {
  return Object.hasOwn(scheduleEventSchemas, type);
}
