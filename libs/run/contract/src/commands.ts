import { z } from 'zod';
import { executionEntries, ofExecution } from './effect-entries';
import { approvalCommandSchemas } from './approvals';
import { deadLetterCommandSchemas } from './dead-letters';
import { childRequestedEntry, parentOfRun } from './children';
import { messageSentEntry } from './messages';
import { repinRun } from './pinning';
import { pooledCommandSchemas } from './pooled';
import { limitExtension, runLimits } from './spending';
import { taskAskedEntry, taskCommandSchemas } from './tasks';
import { PROGRESS_ENTRIES_MAX, STATE_ITEMS_MAX, TIMER_DELAY_MS_MAX } from './limits';
import {
  actor,
  callId,
  displayName,
  divergence,
  errorRecord,
  journalEntry,
  modelDecision,
  nameToken,
  runKind,
  timerId,
  userValue,
} from './values';

const epoch = z.number().int().positive();
const attempt = z.number().int().positive();

/** What a worker reports: in the order in which it happened, contiguous by `seq` within an epoch. */
export const progressEntry = z.discriminatedUnion('type', [
  ...journalEntry.options,
  z.object({
    type: z.literal('effect-intended'),
    call: callId,
    tool: displayName,
    args: userValue,
    argsHash: z.string().max(128),
  }),
  /** About to be executed: only the answer to this very report lets the worker begin. */
  z.object({
    type: z.literal('effect-claimed'),
    ...ofExecution,
    /** Of an effect that needed an approval: the grant that the worker has verified. */
    grantId: z.string().max(128).optional(),
  }),
  ...executionEntries,
  z.object({ type: z.literal('model-intended'), call: callId, model: z.string().max(200), promptHash: z.string().max(128) }),
  z.object({
    type: z.literal('model-result'),
    call: callId,
    attempt,
    result: z.discriminatedUnion('ok', [
      z.object({ ok: z.literal(true), decision: modelDecision }),
      z.object({ ok: z.literal(false), error: errorRecord }),
    ]),
  }),
  /** The code of a workflow has said what would undo what it does. */
  z.object({
    type: z.literal('undo-registered'),
    call: callId,
    tool: displayName,
    args: userValue,
    argsHash: z.string().max(128),
  }),
  z.object({
    type: z.literal('timer-set'),
    call: callId,
    /** From the moment at which its owner hears of it … */
    delayMs: z.number().int().nonnegative().max(TIMER_DELAY_MS_MAX).optional(),
    /** … or a date, that counts if there is one. */
    dueAtMs: z.number().int().nonnegative().optional(),
  }),
  z.object({ type: z.literal('timer-cancelled'), call: callId }),
  /** The code waits for a signal of that name; with `timeoutMs`, no longer than that. */
  z.object({
    type: z.literal('signal-awaited'),
    call: callId,
    name: nameToken,
    timeoutMs: z.number().int().nonnegative().max(TIMER_DELAY_MS_MAX).optional(),
  }),
  childRequestedEntry,
  messageSentEntry,
  taskAskedEntry,
  /** Nothing to do until an inbound fact: the worker lets go of the run (and may keep it warm). */
  z.object({ type: z.literal('suspended') }),
  /** The worker is going away: another shall go on. */
  z.object({ type: z.literal('handed-over') }),
  z.object({ type: z.literal('diverged'), divergence }),
  z.object({ type: z.literal('completed'), output: userValue }),
  /** Workflows: from the beginning, with this input. */
  z.object({ type: z.literal('continued'), input: userValue }),
  z.object({ type: z.literal('failed'), error: errorRecord }),
  z.object({ type: z.literal('cancelled') }),
]);
export type ProgressEntry = z.infer<typeof progressEntry>;

export const runCommandSchemas = {
  /** Idempotent by run id: the same request again gets the same answer, another is refused. */
  StartRun: z.object({
    type: z.literal('StartRun'),
    kind: runKind.optional(),
    name: displayName,
    input: userValue,
    pool: nameToken.optional(),
    /** Wall-clock limit of the whole run, from its request. */
    deadlineMs: z.number().int().positive().max(TIMER_DELAY_MS_MAX).optional(),
    /** Instead of the bounds that its author gave it. */
    limits: runLimits.optional(),
    /** From owners of runs: who is told of its end. */
    parent: parentOfRun.optional(),
  }),
  CancelRun: z.object({ type: z.literal('CancelRun'), reason: z.string().max(2_000).default('cancelled by caller') }),
  /** Holds the run: nothing new begins, what is under way is finished, and it stays as it is until it is resumed. */
  PauseRun: z.object({ type: z.literal('PauseRun'), reason: z.string().max(2_000).default('paused by caller') }),
  /** Ends the run at once, without telling its code: what was under way is named in the outcome. */
  TerminateRun: z.object({ type: z.literal('TerminateRun'), reason: z.string().max(2_000).default('terminated by caller') }),
  /** Ends a pause, or takes back the request for one. */
  ResumeRun: z.object({
    type: z.literal('ResumeRun'),
    reason: z.string().max(2_000).default('resumed by caller'),
    /** Of a run that has used up a limit: so much more, beyond what it has used. */
    extend: limitExtension.optional(),
  }),
  RepinRun: repinRun,
  /** Tells the run something: its code waits for it, or its model is shown it. */
  SignalRun: z.object({
    type: z.literal('SignalRun'),
    name: nameToken,
    payload: userValue,
    /** From owners of runs: the run that sends it. */
    from: nameToken.optional(),
  }),
  /** A person says what became of an effect that is in question. */
  ResolveEffect: z.object({
    type: z.literal('ResolveEffect'),
    call: callId,
    /** `absent`: it may run again. `failed`: the caller is given the error. */
    resolution: z.enum(['happened', 'absent', 'failed']),
    /** With `happened`: what the tool would have returned. */
    result: userValue.optional(),
    reason: z.string().max(2_000).optional(),
  }),
  ...approvalCommandSchemas,
  ...deadLetterCommandSchemas,
  ...taskCommandSchemas,
  /** Sent to the run that is to be: it begins as a copy of another one, which may have ended. */
  ForkRun: z.object({
    type: z.literal('ForkRun'),
    source: nameToken,
    /** The last revision that is copied; by default the last one before the decision that ended the source. */
    at: z.number().int().nonnegative().optional(),
    /** Instead of the source's; of a workflow only before its first call. */
    input: userValue.optional(),
    /** Pins it to this build; without one any build that hosts it may take it. */
    buildId: nameToken.optional(),
    /** Of an agent: another one of those that it is declared with. */
    model: z.string().min(1).max(200).optional(),
  }),
  /** Goes back to an earlier revision, or to the moment before an agent's turn; what was done outside stays done. */
  RewindRun: z.object({
    type: z.literal('RewindRun'),
    to: z.number().int().nonnegative().optional(),
    turn: z.number().int().positive().optional(),
    dryRun: z.boolean().default(false),
    reason: z.string().max(2_000).default('rewound by caller'),
  }),
  /** From admission: capacity is granted. */
  ReleaseRun: z.object({
    type: z.literal('ReleaseRun'),
    permitId: z.string().max(200),
    term: z.number().int().nonnegative(),
    workerId: nameToken,
    sessionId: nameToken,
    buildId: nameToken,
    /** By the owner's clock; a later release is refused. */
    notAfterMs: z.number().int().positive(),
  }),
  /** From admission: the pool's bounded queue is full. */
  RefuseRun: z.object({
    type: z.literal('RefuseRun'),
    code: z.string().max(200),
    message: z.string().max(2_000),
    retryAfterMs: z.number().int().nonnegative().optional(),
  }),
  /** From timers; refused as `TimerNotDue` when it is early by the owner's clock. */
  FireTimer: z.object({ type: z.literal('FireTimer'), timerId }),
  RecordProgress: z.object({
    type: z.literal('RecordProgress'),
    epoch,
    /** 1 for the first report of an epoch, then contiguous. */
    seq: z.number().int().positive(),
    entries: z.array(progressEntry).max(PROGRESS_ENTRIES_MAX),
  }),
  ...pooledCommandSchemas,
  GetRun: z.object({ type: z.literal('GetRun') }),
  /** The run as it was after a revision, or as it is. */
  GetState: z.object({
    type: z.literal('GetState'),
    at: z.number().int().nonnegative().optional(),
    /** The first journal item that is wanted; by default the newest page. */
    journalFrom: z.number().int().nonnegative().optional(),
    journalLimit: z.number().int().nonnegative().max(STATE_ITEMS_MAX).default(50),
  }),
  /** Answered when the run has ended, or with the present state after `holdMs`. */
  AwaitRun: z.object({ type: z.literal('AwaitRun'), holdMs: z.number().int().nonnegative() }),
  /**
   * What the log says of the model calls of the run, from a revision on. Answered when it says more, or after `holdMs` with nothing.
   * Whoever reads the text of a model as it comes learns so what counts.
   */
  GetModelCalls: z.object({
    type: z.literal('GetModelCalls'),
    from: z.number().int().nonnegative(),
    holdMs: z.number().int().nonnegative(),
  }),
  /** The journal of an activation, in segments of bounded size. */
  GetJournal: z.object({ type: z.literal('GetJournal'), epoch, segment: z.number().int().nonnegative() }),
} as const;

export type RunCommandType = keyof typeof runCommandSchemas;
export const runCommand = z.discriminatedUnion('type', [
  runCommandSchemas.RecordProgress,
  runCommandSchemas.StartRun,
  runCommandSchemas.CancelRun,
  runCommandSchemas.PauseRun,
  runCommandSchemas.TerminateRun,
  runCommandSchemas.ResumeRun,
  runCommandSchemas.RepinRun,
  runCommandSchemas.SignalRun,
  runCommandSchemas.ResolveEffect,
  runCommandSchemas.RecordVote,
  runCommandSchemas.RecordRefusal,
  runCommandSchemas.RedriveEffect,
  runCommandSchemas.GiveUpEffect,
  runCommandSchemas.AnswerTask,
  runCommandSchemas.DelegateTask,
  runCommandSchemas.ForkRun,
  runCommandSchemas.RewindRun,
  runCommandSchemas.ReleaseRun,
  runCommandSchemas.RefuseRun,
  runCommandSchemas.FireTimer,
  runCommandSchemas.ClaimEffect,
  runCommandSchemas.ReportEffect,
  runCommandSchemas.GetRun,
  runCommandSchemas.GetState,
  runCommandSchemas.AwaitRun,
  runCommandSchemas.GetModelCalls,
  runCommandSchemas.GetJournal,
]);
export type RunCommand = z.infer<typeof runCommand>;
export type RunCommandOf<T extends RunCommandType> = Extract<RunCommand, { type: T }>;

/** Every request on `perdure.req.…run.…` and every durable command on `perdure.cmd.…run.…`. */
export const commandEnvelope = z.object({
  v: z.literal(1),
  /** A UUID of version 7: its time says whether a repeat can still be recognised. */
  id: z.uuidv7(),
  actor,
  traceparent: z.string().max(200).optional(),
  command: runCommand,
});
export type CommandEnvelope = z.infer<typeof commandEnvelope>;
export type CommandEnvelopeInput = z.input<typeof commandEnvelope>;
