import type { ErrorRecord } from '@perdure/kernel';
import type {
  EditedUse,
  EffectClass,
  EffectLimits,
  EffectsLeft,
  Executor,
  Exhaustion,
  InboundFact,
  ParentClosePolicy,
  ParentOfRun,
  RunEvent,
  RunEventOf,
  RunKind,
  RunLimits,
  RunOutcome,
  ShownSignal,
  Spending,
} from '@perdure/run-contract';
import type { KnownRefusal, ToolApproval } from './approval/approval.state';
import { newGuard, nothingSpent, type Guard } from './guard/run.guard';
import type { Journal } from './run.journal';
import { emptyJournal } from './run.journal';
import { emptyLedger, type Ending, type UndoLedger } from './undo/undo-ledger';

export interface RunRequest {
  readonly kind: RunKind;
  readonly name: string;
  readonly pool: string;
  readonly input: unknown;
  readonly requestHash: string;
  readonly requestedAtMs: number;
  /** Absent in runs that earlier versions have requested. */
  readonly requestedBy?: string;
  readonly parent?: ParentOfRun;
  /** Agents: asked in the place of the first of their build. */
  readonly model?: string;
}

/** Capacity granted by admission; it survives the loss of an activation. */
export interface Permit {
  readonly permitId: string;
  readonly term: number;
}

export interface Activation {
  readonly workerId: string;
  readonly sessionId: string;
  readonly buildId: string;
  readonly assignedAtMs: number;
}

/** The newest execution of an effect that must not be doubled, from its claim until it is known how it ended. */
export interface EffectExecution {
  readonly executionId: string;
  readonly startByMs: number;
  readonly overByMs: number;
  readonly hasProbe: boolean;
  /** Of a tool that has a pool of its own: the worker that claimed it. */
  readonly executor: Executor | undefined;
  readonly stage: 'under-way' | 'unknown' | 'probe-due' | 'in-question' | 'answered';
  /** The probe that is due or waits, from 1. */
  readonly probe: number;
  /** In question: what is not known, and why. Answered: by whom. */
  readonly note: string;
}

export interface OpenTool {
  readonly kind: 'tool';
  readonly call: string;
  readonly tool: string;
  readonly effectClass: EffectClass;
  /** Whose workers execute it; undefined: the worker that holds the run. */
  readonly pool: string | undefined;
  readonly args: unknown;
  /** Persons who have put these arguments in the place of those that were asked for. */
  readonly editedBy?: readonly string[];
  /** Of what was asked for. */
  readonly argsHash: string;
  readonly toolCallId: string | undefined;
  /** When the attempt, or the wait for it, began. */
  readonly sinceMs: number;
  /** The attempt that is under way or due, from 1. */
  readonly attempt: number;
  readonly waitsForRetry: boolean;
  /** Executions whose worker of the pool was lost, and that are made again. */
  readonly losses: number;
  readonly execution: EffectExecution | undefined;
  /** Absent when it needs none. */
  readonly approval?: ToolApproval;
  /** What its tool asked the owner to see to; most ask nothing. */
  readonly limits: EffectLimits | undefined;
  /** The attempts that count for its retries: all of them, or those since it was re-driven. */
  readonly series: { readonly attemptsBefore: number; readonly sinceMs: number };
  /** Of the newest attempt that failed. */
  readonly lastError: ErrorRecord | undefined;
  /** Exhausted: a person has it tried again, or gives it up. */
  readonly deadLetter: { readonly because: Exhaustion } | undefined;
  /** What undoing it would do if it were repeated; undefined when nothing would undo it. */
  readonly compensation: { readonly effectClass: EffectClass } | undefined;
  /** The effect that it undoes. */
  readonly undoes: string | undefined;
}

/** What a model is told of arguments that are not its own. */
export function editedUseOf({ args, editedBy }: Pick<OpenTool, 'args' | 'editedBy'>): { readonly edited?: EditedUse } {
  return editedBy === undefined ? {} : { edited: { by: [...editedBy], args } };
}

/** A run that this one has asked for, from the request until its end, or its start if it is detached, is known. */
export interface OpenChild {
  readonly kind: 'child';
  readonly call: string;
  /** Its run id. */
  readonly child: string;
  readonly name: string;
  readonly input: unknown;
  readonly pool?: string | undefined;
  readonly deadlineMs?: number | undefined;
  readonly limits?: RunLimits | undefined;
  readonly parentClose: ParentClosePolicy;
  readonly isDetached: boolean;
  /** Agents: the tool by which the model asked for it. */
  readonly asTool?: { readonly tool: string; readonly toolCallId: string } | undefined;
  readonly sinceMs: number;
}

/** Something that was intended and has no end yet. */
export type OpenCall =
  | OpenTool
  | OpenChild
  | {
      readonly kind: 'model';
      readonly call: string;
      readonly model: string;
      readonly sinceMs: number;
      readonly attempt: number;
      readonly waitsForRetry: boolean;
      /** Agents: what the model is shown before it answers. */
      readonly signals: readonly ShownSignal[];
      /** What the engine says to the model first. */
      readonly tell?: string;
    }
  | { readonly kind: 'sleep'; readonly call: string; readonly sinceMs: number }
  | { readonly kind: 'wait'; readonly call: string; readonly signal: string; readonly sinceMs: number };

/** A call that a worker carries out. */
export type WorkedCall = Extract<OpenCall, { kind: 'tool' | 'model' }>;

/** A call that only a fact from outside ends. */
export function isWaiting(call: OpenCall): call is Exclude<OpenCall, WorkedCall> {
  return call.kind !== 'tool' && call.kind !== 'model';
}

/** What a person would call it. */
export function callName(call: OpenCall): string {
  if (call.kind === 'tool') return call.tool;
  if (call.kind === 'wait') return call.signal;
  if (call.kind === 'child') return call.name;
  return call.kind === 'model' ? call.model : 'sleep';
}

/** Whether the worker that holds the run can go on with it now; what is under way at a worker is not to be begun. */
export function isRunnable(call: OpenCall): call is WorkedCall {
  if (isWaiting(call) || call.waitsForRetry) return false;
  if (call.kind === 'tool' && call.deadLetter !== undefined) return false;
  // Whoever holds the run has no part in it.
  if (call.kind === 'tool' && call.pool !== undefined) return false;
  if (call.kind === 'tool' && call.approval !== undefined && call.approval.stage !== 'granted') return false;
  return call.kind === 'model' || call.execution === undefined || call.execution.stage === 'probe-due';
}

/** A fact that is given to the code when it has come to rest, and what it answers. */
export interface ArrivedFact extends InboundFact {
  readonly kind: 'sleep' | 'tool' | 'wait' | 'child';
  readonly name: string;
}

export interface OpenTimer {
  readonly timerId: string;
  readonly purpose: RunEventOf<'TimerSet'>['data']['purpose'];
  readonly call: string | undefined;
  readonly dueAtMs: number;
}

export interface PauseRequest {
  readonly reason: string;
  readonly requestedAtMs: number;
}

export interface CancelRequest {
  readonly reason: string;
  readonly requestedAtMs: number;
}

export interface KnownCommand {
  readonly id: string;
  readonly atMs: number;
}

interface OpenRunFields {
  /** Revision of the last fact folded. */
  readonly revision: number;
  readonly request: RunRequest;
  /** When it became what it is: queued, active … */
  readonly sinceMs: number;
  /** Of the newest assignment; 0 before the first. */
  readonly epoch: number;
  /** High-water mark of the reports of this epoch; it outlasts the activation, so that its last report is recognised too. */
  readonly lastSeq: number;
  /** The highest term of an admission leader seen. */
  readonly term: number;
  readonly lostInARow: number;
  readonly lastWorkerId: string | undefined;
  /** Workflows: the build that the next assignment has to be of; undefined = any. */
  readonly pin: string | undefined;
  readonly turn: number;
  /** How often it was rewound: part of the identity of whatever it does. */
  readonly branch: number;
  readonly calls: ReadonlyMap<string, OpenCall>;
  readonly timers: ReadonlyMap<string, OpenTimer>;
  /** Facts that the code has not been given yet, oldest first; those of an agent until its next turn is decided. */
  readonly inbound: readonly ArrivedFact[];
  /** Sent, and read by nobody yet; oldest first. */
  readonly signals: readonly ShownSignal[];
  readonly journal: Journal;
  readonly cancel: CancelRequest | undefined;
  /** Asked for, and the worker has not let go yet. */
  readonly pause: PauseRequest | undefined;
  readonly undo: UndoLedger;
  /** How it ends is decided: nothing begins but what undoes its effects. */
  readonly ending: Ending | undefined;
  readonly commands: readonly KnownCommand[];
  /** Ids at or before this time may have been forgotten. */
  readonly commandsForgottenUpToMs: number;
  /** What was tried against approvals, bounded. */
  readonly refusals: readonly KnownRefusal[];
  readonly limits: RunLimits;
  readonly spent: Spending;
  /** What its children have used that have ended, and theirs. */
  readonly spentByChildren: Spending;
  readonly guard: Guard;
}

export type OpenRun = OpenRunFields &
  (
    | { readonly status: 'queued'; readonly preferredWorkerId: string | undefined }
    | { readonly status: 'placing'; readonly permit: Permit }
    | { readonly status: 'active'; readonly permit: Permit; readonly activation: Activation }
    | { readonly status: 'suspended' }
    | { readonly status: 'paused'; readonly because: string }
  );

export interface EndedRun {
  readonly status: 'ended';
  readonly revision: number;
  readonly branch: number;
  readonly request: RunRequest;
  readonly epoch: number;
  /** High-water mark of the last activation, so that a repeated last report is recognised. */
  readonly lastSeq: number;
  readonly outcome: RunOutcome;
  readonly endedAtMs: number;
  readonly cancelRequested: boolean;
  /** Effects of which it is not known whether they happened. */
  readonly unknownEffects: readonly NamedEffect[];
  /** What became of the effects of a run that did not complete. */
  readonly effects: EffectsLeft | undefined;
  readonly commands: readonly KnownCommand[];
  readonly turn: number;
  readonly limits: RunLimits;
  readonly spent: Spending;
  readonly spentByChildren: Spending;
}

export type RunState = { readonly status: 'none'; readonly revision: -1 } | OpenRun | EndedRun;

export const noRun: RunState = { status: 'none', revision: -1 };

export function isOpen(state: RunState): state is OpenRun {
  return state.status !== 'none' && state.status !== 'ended';
}

interface NamedEffect {
  readonly call: string;
  readonly what: string;
}

/** Effects of which it is not known whether they happened. */
export function inDoubt(run: OpenRun): readonly NamedEffect[] {
  return [...run.undo.unknown, ...openInDoubt(run)];
}

/** Those of the present branch. */
export function openInDoubt({ calls }: OpenRun): readonly NamedEffect[] {
  return [...calls.values()].flatMap((call) =>
    call.kind === 'tool' && call.undoes === undefined && mayHaveHappened(call) ? [{ call: call.call, what: call.tool }] : [],
  );
}

/** A claimed one that was not begun has certainly not happened; of what needs no claim nobody can say. */
export function mayHaveHappened({ execution, effectClass, approval, pool, attempt }: OpenTool): boolean {
  const isClaimed = approval !== undefined || pool !== undefined;
  return execution !== undefined || (effectClass === 'idempotent' && (!isClaimed || attempt > 1));
}

/** An agent of which nothing is open: its next turn is decided when a worker is found for it. */
export function isBetweenTurns(run: OpenRun): boolean {
  return run.request.kind === 'agent' && run.calls.size === 0 && run.ending === undefined;
}

/** Calls of different branches share their names; their timers do not, nor does what is kept of them across branches. */
export function nameInRun(branch: number, name: string): string {
  return branch === 0 ? name : `b${branch}-${name}`;
}

/** The sleep that a timer served. */
export function callOfTimer({ branch }: OpenRun, timerId: string): string {
  return timerId.slice(nameInRun(branch, '').length);
}

/** Whether a worker would find something to do. */
export function hasWork(run: OpenRun): boolean {
  // The next turn of an agent is a call of its own: what has arrived only belongs to it.
  if (run.request.kind === 'workflow' && run.inbound.length > 0) return true;
  return [...run.calls.values()].some(isRunnable);
}

export function woken(run: OpenRun): RunEvent {
  return { type: 'RunWoken', data: run.lastWorkerId === undefined ? {} : { preferredWorkerId: run.lastWorkerId } };
}

export function newRunFields(revision: number, request: RunRequest, limits: RunLimits = {}): OpenRunFields {
  return {
    revision,
    request,
    sinceMs: request.requestedAtMs,
    epoch: 0,
    lastSeq: 0,
    term: 0,
    lostInARow: 0,
    lastWorkerId: undefined,
    pin: undefined,
    turn: 0,
    branch: 0,
    calls: new Map(),
    timers: new Map(),
    inbound: [],
    signals: [],
    journal: emptyJournal,
    cancel: undefined,
    pause: undefined,
    undo: emptyLedger,
    ending: undefined,
    commands: [],
    commandsForgottenUpToMs: 0,
    refusals: [],
    limits,
    spent: nothingSpent,
    spentByChildren: nothingSpent,
    guard: newGuard,
  };
}

/** Removes what only one status carries, so that a transition cannot leave it behind. */
export function commonFields(run: OpenRun): OpenRunFields {
  const { revision, request, sinceMs, epoch, lastSeq, term, lostInARow, lastWorkerId, pin, turn, branch } = run;
  const { calls, timers, inbound, signals, journal, cancel, pause, undo, ending, commands, commandsForgottenUpToMs, refusals } =
    run;
  const { limits, spent, spentByChildren, guard } = run;
  return {
    revision,
    request,
    sinceMs,
    epoch,
    lastSeq,
    term,
    lostInARow,
    lastWorkerId,
    pin,
    turn,
    branch,
    calls,
    timers,
    inbound,
    signals,
    journal,
    cancel,
    pause,
    undo,
    ending,
    commands,
    commandsForgottenUpToMs,
    refusals,
    limits,
    spent,
    spentByChildren,
    guard,
  };
}
