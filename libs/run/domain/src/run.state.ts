import type {
  EffectsLeft,
  InboundFact,
  ParentOfRun,
  RunEvent,
  RunEventOf,
  RunKind,
  RunLimits,
  RunOutcome,
  ShownSignal,
  Spending,
} from '@perdure/run-contract';
import type { KnownRefusal } from './approval/approval.state';
import { newGuard, nothingSpent, type Guard } from './guard/run.guard';
import type { Journal } from './run.journal';
import { emptyJournal } from './run.journal';
import { isRunnable, type OpenCall, type OpenTool } from './run.calls';
import type { ClosedTask } from './task/task.state';
import { emptyLedger, type Ending, type UndoLedger } from './undo/undo-ledger';

export * from './run.calls';

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

/** A fact that is given to the code when it has come to rest, and what it answers. */
export interface ArrivedFact extends InboundFact {
  readonly kind: 'sleep' | 'tool' | 'wait' | 'child' | 'message';
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
  /** The newest of those that persons were asked for. */
  readonly tasksClosed: readonly ClosedTask[];
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
  readonly tasksClosed: readonly ClosedTask[];
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
export function openInDoubt({ calls, branch }: Pick<OpenRun, 'calls' | 'branch'>): readonly NamedEffect[] {
  return [...calls.values()].flatMap((call) =>
    call.kind === 'tool' && call.undoes === undefined && mayHaveHappened(call)
      ? [{ call: nameInRun(branch, call.call), what: call.tool }]
      : [],
  );
}

/** Executions of the present branch that have no end. */
export function unknownEnds({ calls, branch }: OpenRun): readonly NamedEffect[] {
  return [...calls.values()].flatMap((call) =>
    call.kind === 'tool' && call.execution !== undefined ? [{ call: nameInRun(branch, call.call), what: call.tool }] : [],
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
    tasksClosed: [],
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
  const { tasksClosed, limits, spent, spentByChildren, guard } = run;
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
    tasksClosed,
    limits,
    spent,
    spentByChildren,
    guard,
  };
}
