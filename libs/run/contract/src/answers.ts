import { z } from 'zod';
import { HEARTBEAT_BUILDS_MAX } from './limits';
import { parentOfRun } from './children';
import { lastHeartbeat } from './effect-entries';
import { offerMessage, stopMessage } from './pooled';
import { shownSignal } from './signals';
import { editedUse, grant } from './approvals';
import { runLimits, spending } from './spending';
import { effectsLeft, endingView } from './undo';
import { callId, displayName, errorRecord, executionId, modelDecision, nameToken, outcome, runKind, userValue } from './values';

/** How a run ended. */
export const runOutcome = z.discriminatedUnion('status', [
  z.object({ status: z.literal('completed'), output: userValue }),
  z.object({ status: z.literal('failed'), error: errorRecord }),
  z.object({ status: z.literal('cancelled'), reason: z.string() }),
  z.object({ status: z.literal('timed-out'), deadlineAtMs: z.number() }),
  z.object({
    status: z.literal('terminated'),
    reason: z.string(),
    leftOpen: z.array(z.object({ call: callId, what: z.string() })),
  }),
  z.object({ status: z.literal('refused'), code: z.string(), message: z.string(), retryAfterMs: z.number().optional() }),
]);
export type RunOutcome = z.infer<typeof runOutcome>;

/** An open promise of a run: what it waits for, and who keeps it. */
export const openPromise = z.object({
  promise: z.enum([
    'release',
    'activation',
    'progress',
    'effect',
    'model-call',
    'timer',
    'resume',
    'answer',
    'dead-letter',
    'compensation',
    'signal',
    'approval',
    'child',
    'message',
    'task',
  ]),
  keeper: z.enum(['admission', 'orchestrator', 'timers', 'person', 'caller']),
  id: z.string(),
  sinceMs: z.number(),
  /** Timers: not before this. */
  dueAtMs: z.number().optional(),
  detail: z.string().optional(),
  /** What would close it, in words; owners of earlier versions do not say. */
  closedBy: z.string().optional(),
});
export type OpenPromise = z.infer<typeof openPromise>;

export const runStatus = z.enum(['queued', 'active', 'suspended', 'paused', 'ended']);

/** What anyone may ask of a run. */
export const runView = z.object({
  runId: nameToken,
  tenant: nameToken,
  kind: runKind,
  name: displayName,
  status: runStatus,
  revision: z.number().int().nonnegative(),
  epoch: z.number().int().nonnegative(),
  /** How often it was rewound; absent = never. */
  branch: z.number().int().positive().optional(),
  workerId: nameToken.optional(),
  /** Workflows: the build that it goes on with, once it has begun. */
  buildId: nameToken.optional(),
  requestedAtMs: z.number(),
  /** When it became what it is; owners of earlier versions do not say. */
  sinceMs: z.number().optional(),
  endedAtMs: z.number().optional(),
  pausedBecause: z.string().optional(),
  cancelRequested: z.boolean(),
  pauseRequested: z.boolean().optional(),
  waitingOn: z.array(openPromise),
  /** Signals that nobody has read yet. */
  unreadSignals: z.number().int().positive().optional(),
  outcome: runOutcome.optional(),
  /** Of an ended run: effects of which it is not known whether they happened. Nobody will look for them any more. */
  unknownEffects: z.array(z.object({ call: callId, what: z.string() })).optional(),
  /** Agents: the newest turn. */
  turn: z.number().int().nonnegative().optional(),
  /** Of which run it is a child. */
  parent: parentOfRun.optional(),
  /** What it has used so far, and what it may use; owners of earlier versions do not say. */
  spent: spending.optional(),
  /** With what its children have used that have ended, and theirs. Absent when it is the same. */
  spentByTree: spending.optional(),
  limits: runLimits.optional(),
  /** Of an ended run that did not complete: what became of its effects. Absent when there is nothing to say. */
  effects: effectsLeft.optional(),
  /** How the run ends is decided, and its effects are being undone. */
  ending: endingView.optional(),
});
export type RunView = z.infer<typeof runView>;

/** Why a run is where it is: each promise that it waits on, with its age. Empty when it has ended. */
export const runExplanation = z.object({
  runId: nameToken,
  tenant: nameToken,
  name: displayName,
  status: runStatus,
  /** By the clock of who answers: the ages count up to here. */
  atMs: z.number(),
  sinceMs: z.number(),
  waitingOn: z.array(openPromise.extend({ ageMs: z.number().nonnegative() })),
  outcome: runOutcome.optional(),
});
export type RunExplanation = z.infer<typeof runExplanation>;

/** What the worker that holds the run shall do next: computed from state, repeated until reported. */
export const instruction = z.discriminatedUnion('do', [
  z.object({
    do: z.literal('call-model'),
    call: callId,
    attempt: z.number().int().positive(),
    /** Agents that were forked with another model than the first of their build. */
    model: z.string().optional(),
    /** Agents: what the model is shown for the first time, before it answers. */
    signals: z.array(shownSignal).optional(),
    /** Agents: what the engine says to the model first. */
    tell: z.string().optional(),
  }),
  z.object({
    do: z.literal('run-tool'),
    call: callId,
    tool: displayName,
    args: userValue,
    attempt: z.number().int().positive(),
    toolCallId: z.string().optional(),
    /** It may not be begun by this: claim it first. */
    mustClaim: z.boolean().optional(),
    /** Of an effect that needed an approval: verify it before the claim. */
    grant: grant.optional(),
    /** Who has put these arguments in the place of those intended. */
    editedBy: z.array(nameToken).optional(),
    /** The effect that it undoes. */
    undoes: callId.optional(),
    ...lastHeartbeat,
  }),
  /** Run what the tool declares to undo an effect of its own. */
  z.object({
    do: z.literal('undo-tool'),
    call: callId,
    tool: displayName,
    args: userValue,
    result: userValue,
    undoes: callId,
    attempt: z.number().int().positive(),
    mustClaim: z.boolean().optional(),
    ...lastHeartbeat,
  }),
  /** Ask the destination what became of an execution. */
  z.object({
    do: z.literal('probe-tool'),
    call: callId,
    tool: displayName,
    args: userValue,
    attempt: z.number().int().positive(),
    executionId,
    probe: z.number().int().positive(),
    editedBy: z.array(nameToken).optional(),
    undoes: callId.optional(),
  }),
]);
export type Instruction = z.infer<typeof instruction>;

/** A fact of the stream that the run's code or loop has not been given yet. */
export const inboundFact = z.object({
  revision: z.number().int().nonnegative(),
  call: callId,
  outcome,
  /** Agents: as in the journal. */
  edited: editedUse.optional(),
});
export type InboundFact = z.infer<typeof inboundFact>;

/** What has happened in a run, as its code or conversation needs it; in order. */
export const journalItem = z.discriminatedUnion('type', [
  /** Workflow: an effect, model call or timer that is intended and whose end is not delivered yet. */
  z.object({
    type: z.literal('made'),
    call: callId,
    kind: z.enum(['tool', 'model', 'sleep', 'wait', 'child', 'message']),
    name: displayName,
    hash: z.string().optional(),
  }),
  /** Workflow: the code was given this outcome. */
  z.object({
    type: z.literal('got'),
    call: callId,
    kind: z.enum(['step', 'value', 'tool', 'model', 'sleep', 'undo', 'wait', 'child', 'message']),
    name: displayName,
    outcome,
  }),
  /** Agent: one turn of the conversation. */
  z.object({
    type: z.literal('decided'),
    call: callId,
    decision: modelDecision,
    /** What the engine had said to the model before. */
    told: z.string().optional(),
  }),
  /** Agent: the model is shown this signal before it decides the turn `call`. */
  z.object({ type: z.literal('signalled'), call: callId, ...shownSignal.shape }),
  /** Agent: the outcome of a tool call, as the model will see it. */
  z.object({
    type: z.literal('tool-result'),
    call: callId,
    toolCallId: z.string(),
    tool: displayName,
    outcome,
    /** Persons approved of it with other arguments than the model gave. */
    edited: editedUse.optional(),
  }),
]);
export type JournalItem = z.infer<typeof journalItem>;

/** A claimed execution that may begin, within so long of the moment before its claim was sent. */
export const grantedExecution = z.object({
  call: callId,
  attempt: z.number().int().positive(),
  executionId,
  startWithinMs: z.number(),
});
export type GrantedExecution = z.infer<typeof grantedExecution>;

/** Answer to RecordProgress. */
export const progressAnswer = z.object({
  /** Of the last report that has changed anything: the next one has the number behind it. */
  seq: z.number().int().nonnegative(),
  revision: z.number().int().nonnegative(),
  instructions: z.array(instruction),
  inbound: z.array(inboundFact),
  cancelRequested: z.boolean(),
  pauseRequested: z.boolean().optional(),
  ended: z.boolean(),
  /** Of the claims in this report: those that are granted. No other message lets a claimed effect begin. */
  mayBegin: z.array(grantedExecution).optional(),
});
export type ProgressAnswer = z.infer<typeof progressAnswer>;

/** Answer to ClaimEffect: without the execution in it, nothing may begin. */
export const claimAnswer = progressAnswer.pick({ mayBegin: true });
export type ClaimAnswer = z.infer<typeof claimAnswer>;

export const journalSegment = z.object({ items: z.array(journalItem) });

export const startAnswer = z.object({ runId: nameToken, started: z.boolean() });

export const answer = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), value: z.unknown() }),
  z.object({ ok: z.literal(false), error: errorRecord }),
]);
export type Answer = z.infer<typeof answer>;

/** Which activation a message to a worker concerns. */
const ofActivation = { v: z.literal(1), tenant: nameToken, runId: nameToken, epoch: z.number().int().positive() };

/** What the worker has to be told of the run, whole each time: telling it again changes nothing. */
const news = {
  inbound: z.array(inboundFact),
  instructions: z.array(instruction),
  cancelRequested: z.boolean(),
  /** Begin nothing new, finish what is under way, hand the run over. */
  pauseRequested: z.boolean().optional(),
};

/** Pushed by the owner to the worker that a run is assigned to; repeated until claimed. */
export const activate = z.object({
  type: z.literal('activate'),
  ...ofActivation,
  /** `undo`: none of its code is run, only what undoes its effects. */
  kind: z.enum([...runKind.options, 'undo']),
  name: displayName,
  buildId: nameToken,
  sessionId: nameToken,
  revision: z.number().int().nonnegative(),
  input: userValue,
  /** How often the run was rewound: memory of another branch is not this run's. */
  branch: z.number().int().nonnegative().optional(),
  /** Sealed segments to fetch with GetJournal before the tail. */
  segments: z.number().int().nonnegative(),
  /** Absent when the owner believes that the worker still holds the run warm at `warmRevision`. */
  journal: z.array(journalItem).optional(),
  ...news,
});
export type Activate = z.infer<typeof activate>;

/** Facts for an activation that is under way. */
export const inboundMessage = z.object({
  type: z.literal('inbound'),
  ...ofActivation,
  ...news,
});
export type InboundMessage = z.infer<typeof inboundMessage>;

/** The run ended or moved: whatever the worker still does for this epoch is refused. */
export const releaseMessage = z.object({
  type: z.literal('release'),
  ...ofActivation,
});

export const workerMessage = z.discriminatedUnion('type', [activate, inboundMessage, releaseMessage, offerMessage, stopMessage]);
export type WorkerMessage = z.infer<typeof workerMessage>;

/** A worker's reply to `activate` and `inbound`. `cold`: send it again with the journal. `unknown`: that epoch is not held here. */
export const claim = z.object({
  claim: z.enum(['accepted', 'cold', 'refused', 'unknown']),
  reason: z.string().optional(),
});
export type Claim = z.infer<typeof claim>;

/** Published every half second by a thread of the worker's own. Slots are absolute, never deltas. */
export const heartbeat = z.object({
  v: z.literal(1),
  tenant: nameToken,
  pool: nameToken,
  workerId: nameToken,
  /** Another session of the same worker ends the old one. */
  sessionId: nameToken,
  buildId: nameToken,
  /** Builds whose runs this one takes over without being told. */
  compatibleWith: z.array(nameToken).max(HEARTBEAT_BUILDS_MAX).optional(),
  /** Agents and workflows that it hosts, by name. */
  hosts: z.array(displayName).max(1_000),
  slots: z.number().int().nonnegative(),
  freeSlots: z.number().int().nonnegative(),
  /** Age of the last sign of life of the thread that runs user code. */
  loopLagMs: z.number().nonnegative(),
  /** Activations under way: run ids by tenant of the worker. */
  activations: z.array(nameToken),
  draining: z.boolean(),
  /** Tools of its pool that it executes for whoever holds the run, and for how many executions more it has room. */
  tools: z.array(displayName).max(2_000).optional(),
  freeToolSlots: z.number().int().nonnegative().optional(),
  /** Executions that it has claimed, or is claiming, and has not reported: whatever is not among them it will not begin. */
  executions: z.array(executionId).max(10_000).optional(),
  /** A clean goodbye: no more heartbeats will come. */
  leaving: z.boolean().default(false),
});
export type Heartbeat = z.infer<typeof heartbeat>;
