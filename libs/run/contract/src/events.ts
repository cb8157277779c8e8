import { z } from 'zod';
import { runRepinned } from './pinning';
import { pooledEventSchemas, pooledFields } from './pooled';
import { BRANCH_PAYLOAD_PATHS, branchEventSchemas } from './branches';
import { CHILD_PAYLOAD_PATHS, childEventSchemas, parentOfRun } from './children';
import { SIGNAL_PAYLOAD_PATHS, signalEventSchemas } from './signals';
import { APPROVAL_PAYLOAD_PATHS, approvalEventSchemas } from './approvals';
import { MESSAGE_PAYLOAD_PATHS, messageEventSchemas } from './messages';
import { guardEventSchemas, limitExtension, runLimits } from './spending';
import { TASK_PAYLOAD_PATHS, taskEventSchemas } from './tasks';
import { compensation, effectsLeft, UNDO_PAYLOAD_PATHS, undoEventSchemas } from './undo';
import { DEAD_LETTER_PAYLOAD_PATHS, deadLetterEventSchemas, effectLimits, exhaustion } from './dead-letters';
import {
  callId,
  displayName,
  divergence,
  effectClass,
  errorRecord,
  executionId,
  journalEntry,
  modelDecision,
  nameToken,
  runKind,
  timerId,
  userValue,
} from './values';

const epoch = z.number().int().positive();
const attempt = z.number().int().positive();
const timestampMs = z.number().int().nonnegative();

/** Which execution of an effect a fact is about. */
const ofExecution = { call: callId, attempt, executionId };

/** The facts of a run, by type: the present version of each shape. */
export const runEventSchemas = {
  RunRequested: z.object({
    kind: runKind,
    name: displayName,
    pool: nameToken,
    input: userValue,
    /** SHA-256 of what was asked, so that a repeated start is told from another under the same key. */
    requestHash: z.string(),
    requestedAtMs: timestampMs,
    deadlineAtMs: timestampMs.optional(),
    /** Who asked for it; owners of earlier versions do not say. */
    requestedBy: z.string().max(200).optional(),
    limits: runLimits.optional(),
    parent: parentOfRun.optional(),
  }),
  RunRefused: z.object({
    code: z.string(),
    message: z.string(),
    retryAfterMs: z.number().int().nonnegative().optional(),
    endedAtMs: timestampMs,
  }),
  RunAssigned: z.object({
    epoch,
    workerId: nameToken,
    sessionId: nameToken,
    buildId: nameToken,
    permitId: z.string(),
    /** Term of the admission leader that granted the permit. */
    term: z.number().int().nonnegative(),
    assignedAtMs: timestampMs,
  }),
  ActivationLost: z.object({
    epoch,
    reason: z.enum([
      'worker-lost',
      'worker-replaced',
      'worker-stalled',
      'not-claimed',
      'unsendable',
      'refused',
      'handed-over',
      'paused',
      'rewound',
    ]),
  }),
  RunQuarantined: z.object({ epoch, activationsLost: z.number().int().positive(), ...pooledFields.LettingGo }),
  RunSuspended: z.object({ epoch, ...pooledFields.LettingGo }),
  /** Something it waited for has happened: the run asks for a new activation. */
  RunWoken: z.object({ preferredWorkerId: nameToken.optional() }),
  ModelCallIntended: z.object({
    call: callId,
    /** Agents: the turn of the conversation. */
    turn: z.number().int().positive().optional(),
    model: z.string().max(200),
    promptHash: z.string().max(128).optional(),
    /** Agents: revisions of the signals that the model is shown for the first time, oldest first. */
    signals: z.array(z.number().int().nonnegative()).optional(),
    /** Agents: what the engine says to the model before this turn. */
    tell: z.string().max(10_000).optional(),
  }),
  ModelCallCompleted: z.object({ call: callId, attempt, decision: modelDecision }),
  ModelCallFailed: z.object({ call: callId, attempt, error: errorRecord, retryAtMs: timestampMs.optional() }),
  StepsRecorded: z.object({ entries: z.array(journalEntry).min(1) }),
  EffectIntended: z.object({
    call: callId,
    tool: displayName,
    effectClass,
    args: userValue,
    argsHash: z.string(),
    toolCallId: z.string().max(200).optional(),
    intendedAtMs: timestampMs,
    ...pooledFields.EffectIntended,
    limits: effectLimits.optional(),
    compensation: compensation.optional(),
    /** It undoes this effect. */
    undoes: callId.optional(),
    /** Who had put these arguments in the place of those that were asked for, in the run or the branch that it is carried from. */
    editedBy: z.array(nameToken).optional(),
  }),
  /** A worker may begin this execution, until `startByMs`; by `overByMs` it has ended or never began. */
  EffectDispatched: z.object({
    ...ofExecution,
    startByMs: timestampMs,
    overByMs: timestampMs,
    hasProbe: z.boolean(),
    ...pooledFields.EffectDispatched,
    /** Of an effect that needed an approval: the grant under which it runs. */
    grantId: z.string().max(128).optional(),
  }),
  ...pooledEventSchemas,
  /** Dispatched, or asked to be, and certainly not begun: the attempt may be claimed again. */
  EffectNotStarted: z.object({ ...ofExecution, reason: z.enum(['too-late', 'cancel-requested', 'pause-requested']) }),
  /** It goes on, and says how far it is: what its next attempt, or whoever executes it next, is given. */
  EffectProgressed: z.object({ call: callId, attempt, detail: userValue }),
  /** Whether it happened is not known. */
  EffectUnknown: z.object({
    ...ofExecution,
    because: z.enum(['activation-ended', 'worker-lost', 'run-ended', 'timed-out', 'error']),
    error: errorRecord.optional(),
  }),
  /** The destination was asked and could not say, or could not be asked. */
  EffectProbed: z.object({
    ...ofExecution,
    probe: z.number().int().positive(),
    error: errorRecord,
    retryAtMs: timestampMs.optional(),
  }),
  /** Only a person can say: all that is known, for whoever answers. */
  EffectQuestioned: z.object({
    ...ofExecution,
    tool: displayName,
    effectClass,
    args: userValue,
    toolCallId: z.string().max(200).optional(),
    startByMs: timestampMs,
    overByMs: timestampMs,
    /** `forked`: it was under way in the run that this one is a copy of. */
    because: z.enum(['no-probe', 'undecided', 'never-happens', 'forked']),
    why: z.string().max(5_000),
  }),
  /** What was unknown is known. It is followed by the end of the call; after `absent` the next attempt is due instead. */
  EffectReconciled: z.object({
    ...ofExecution,
    verdict: z.enum(['happened', 'absent', 'failed']),
    /** `probe`, or the person. */
    by: z.string().max(300),
    reason: z.string().max(2_000).optional(),
    commandId: z.string().optional(),
  }),
  EffectConfirmed: z.object({ call: callId, attempt, result: userValue }),
  EffectFailed: z.object({
    call: callId,
    attempt,
    error: errorRecord,
    retryAtMs: timestampMs.optional(),
    /** The owner has ended it: whoever asked for the effect learns of it by this fact alone. */
    exhausted: z.union([exhaustion, z.literal('given-up')]).optional(),
  }),
  ...deadLetterEventSchemas,
  ...undoEventSchemas,
  ...approvalEventSchemas,
  TimerSet: z.object({
    timerId,
    purpose: z.enum([
      'sleep',
      'retry',
      'deadline',
      'probe',
      'start',
      'total',
      'undo',
      'wait',
      'approval-expiry',
      'approval-escalation',
      'task-reminder',
      'task-escalation',
      'task-expiry',
    ]),
    /** The call that the timer serves; absent for the deadline of the run. */
    call: callId.optional(),
    dueAtMs: timestampMs,
  }),
  TimerFired: z.object({ timerId, dueAtMs: timestampMs }),
  TimerCancelled: z.object({ timerId }),
  CodeDiverged: z.object({ epoch, buildId: nameToken, divergence, ...pooledFields.LettingGo }),
  ...signalEventSchemas,
  ...childEventSchemas,
  ...messageEventSchemas,
  ...taskEventSchemas,
  ...branchEventSchemas,
  /** The worker is asked to let go; what is under way is finished first, or given up after a while. */
  RunPauseRequested: z.object({ reason: z.string(), commandId: z.string(), requestedAtMs: timestampMs }),
  RunPaused: z.object({ reason: z.string(), ...pooledFields.LettingGo }),
  RunRepinned: runRepinned,
  RunResumed: z.object({ reason: z.string(), commandId: z.string(), extend: limitExtension.optional() }),
  RunCancelRequested: z.object({ reason: z.string(), commandId: z.string(), requestedAtMs: timestampMs }),
  RunCompleted: z.object({ output: userValue, endedAtMs: timestampMs }),
  RunFailed: z.object({ error: errorRecord, endedAtMs: timestampMs, effects: effectsLeft.optional() }),
  RunCancelled: z.object({ reason: z.string(), endedAtMs: timestampMs, effects: effectsLeft.optional() }),
  RunTimedOut: z.object({ deadlineAtMs: timestampMs, endedAtMs: timestampMs, effects: effectsLeft.optional() }),
  /** Ended by force: whatever was open is named, since nobody will look after it any more. */
  RunTerminated: z.object({
    reason: z.string(),
    leftOpen: z.array(z.object({ call: callId, what: z.string().max(200) })),
    endedAtMs: timestampMs,
    effects: effectsLeft.optional(),
  }),
  ...guardEventSchemas,
} as const;

export type RunEventType = keyof typeof runEventSchemas;

/** Which report of which activation proposed a fact: the high-water mark by which repeats are recognised. */
export interface ReportMark {
  readonly epoch: number;
  readonly seq: number;
}

export type RunEvent = {
  [T in RunEventType]: {
    readonly type: T;
    readonly data: Readonly<z.infer<(typeof runEventSchemas)[T]>>;
    readonly report?: ReportMark;
    /** When it was decided, by the owner's clock. */
    readonly atMs?: number;
  };
}[RunEventType];

export type RunEventOf<T extends RunEventType> = Extract<RunEvent, { type: T }>;

export function isRunEventType(type: string): type is RunEventType {
  return Object.hasOwn(runEventSchemas, type);
}

/** The fact with which a run ends: exactly one, and nothing follows it. */
export const TERMINAL_EVENT_TYPES = [
  'RunRefused',
  'RunCompleted',
  'RunFailed',
  'RunCancelled',
  'RunTimedOut',
  'RunTerminated',
] as const satisfies readonly RunEventType[];

/** Said of every event, beside its data. */
export const eventMetadata = z.object({
  schemaVersion: z.number().int().positive(),
  $correlationId: z.string(),
  $causationId: z.string(),
  tenant: nameToken,
  actor: z.string(),
  branch: z.number().int().nonnegative(),
  /** When it was decided, by the clock of the stream's owner; facts of the first versions do not say. */
  atMs: timestampMs.optional(),
  traceparent: z.string().optional(),
  /** Present when payload fields are sealed: names the data key. */
  keyId: z.string().optional(),
  /** Present when a worker proposed the fact: its epoch, and the sequence number of its report. */
  report: z.object({ epoch, seq: z.number().int().positive() }).optional(),
});
export type EventMetadata = z.infer<typeof eventMetadata>;

/** Payload fields, by event type and path: what sealing and blobs apply to. `*` = each element. */
export const PAYLOAD_PATHS: Partial<Record<RunEventType, readonly string[]>> = {
  RunRequested: ['input'],
  StepsRecorded: [
    'entries.*.outcome.value',
    'entries.*.outcome.error.message',
    'entries.*.outcome.error.details',
    'entries.*.value',
  ],
  ModelCallIntended: ['tell'],
  ModelCallCompleted: ['decision.text', 'decision.toolCalls', 'decision.output', 'decision.outputProblem'],
  ModelCallFailed: ['error.message', 'error.details'],
  EffectIntended: ['args'],
  EffectConfirmed: ['result'],
  EffectProgressed: ['detail'],
  EffectUnknown: ['error.message', 'error.details'],
  EffectProbed: ['error.message', 'error.details'],
  EffectQuestioned: ['args', 'why'],
  EffectReconciled: ['reason'],
  EffectFailed: ['error.message', 'error.details'],
  ...DEAD_LETTER_PAYLOAD_PATHS,
  ...UNDO_PAYLOAD_PATHS,
  CodeDiverged: ['divergence.expected', 'divergence.found'],
  RunPauseRequested: ['reason'],
  RunPaused: ['reason'],
  RunResumed: ['reason'],
  RunRepinned: ['reason'],
  RunCancelRequested: ['reason'],
  RunCancelled: ['reason', 'effects.notUndone.*.why'],
  RunTimedOut: ['effects.notUndone.*.why'],
  RunTerminated: ['reason', 'effects.notUndone.*.why'],
  RunRefused: ['message'],
  RunCompleted: ['output'],
  RunFailed: ['error.message', 'error.details', 'effects.notUndone.*.why'],
  ...SIGNAL_PAYLOAD_PATHS,
  ...CHILD_PAYLOAD_PATHS,
  ...MESSAGE_PAYLOAD_PATHS,
  ...TASK_PAYLOAD_PATHS,
  ...APPROVAL_PAYLOAD_PATHS,
  ...BRANCH_PAYLOAD_PATHS,
};
