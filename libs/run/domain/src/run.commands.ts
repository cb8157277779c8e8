import type { ErrorRecord } from '@perdure/kernel';
import type {
  ApprovalRefusal,
  EditedUse,
  Executor,
  Outcome,
  ParentOfRun,
  RunCommandOf,
  RunEventOf,
  RunKind,
  RunLimits,
  ShownSignal,
  Spending,
} from '@perdure/run-contract';
import type { BehaviourManifest, EffectInQuestion, KnownPolicy, ToolManifest } from '@perdure/tenant-contract';
import type { OpenRun } from './run.state';

/** What the owner knows of the code that a command concerns, from the build's registration. */
export interface KnownCode {
  readonly behaviour: BehaviourManifest | undefined;
  /** Builds whose runs the build takes over. */
  readonly compatibleWith?: readonly string[];
  tool(name: string): ToolManifest | undefined;
  /** The policy of the tenant that asks for an approval of this effect, as it stands now. */
  approvalOf?(effect: EffectInQuestion): KnownPolicy | undefined;
}

/** Time and chance arrive with the command. */
export interface Circumstances {
  readonly nowMs: number;
  readonly commandId: string;
  /** Uniform in [0, 1): jitter of retries. */
  readonly fraction: number;
}

export interface RequestRun {
  readonly type: 'RequestRun';
  readonly kind: RunKind;
  readonly name: string;
  readonly pool: string;
  readonly input: unknown;
  readonly requestHash: string;
  readonly deadlineMs: number | undefined;
  readonly requestedBy?: string;
  readonly limits?: RunLimits;
  readonly parent?: ParentOfRun;
}

/** What was asked of persons about calls that were open: asked anew, since no answer of before counts. */
export type AskedApprovals = ReadonlyMap<string, RunEventOf<'ApprovalRequested'>['data']>;

/** The run begins as a copy of another one. */
export interface RequestFork extends Omit<RequestRun, 'type' | 'deadlineMs'> {
  readonly type: 'RequestFork';
  readonly source: { readonly runId: string; readonly revision: number };
  /** The source as it was after that revision. */
  readonly past: OpenRun;
  readonly approvals: AskedApprovals;
  /** The only one that may take it. */
  readonly buildId?: string | undefined;
  /** In the place of the first of its build. */
  readonly model?: string | undefined;
}

/** How an effect ended, and whose arguments were executed if they were not those that were asked for. */
export interface EndedEffect {
  readonly outcome: Outcome;
  readonly edited?: EditedUse;
}
export type EndedEffects = ReadonlyMap<string, EndedEffect>;

/** The run goes on from what it was. */
export interface RewindRun {
  readonly type: 'RewindRun';
  readonly to: number;
  /** The run as it was after `to`. */
  readonly past: OpenRun;
  /** The revision at which the log was looked at. */
  readonly asOf: number;
  /** How effects ended that were open at `to` and may not be done again: that is known, and stays so. */
  readonly outcomes: EndedEffects;
  readonly approvals: AskedApprovals;
  /** Signals that came after `to`, oldest first. */
  readonly sentSince: readonly ShownSignal[];
  readonly reason: string;
}

/** The keeper of a child says how it ended. */
export interface EndChild {
  readonly type: 'EndChild';
  readonly call: string;
  readonly child: string;
  readonly outcome: Outcome;
  readonly spent?: Spending;
}

/** The keeper of a detached child says that it has been started. */
export interface NoteChildStarted {
  readonly type: 'NoteChildStarted';
  readonly call: string;
  readonly child: string;
}

/** The keeper of a message says that the owner of its recipient has answered; with `error`, that it never will take it. */
export interface NoteMessage {
  readonly type: 'NoteMessage';
  readonly call: string;
  readonly messageId: string;
  readonly error?: ErrorRecord;
}

/** The owner found another worker for a run whose activation was lost. */
export interface PlaceRun {
  readonly type: 'PlaceRun';
  readonly workerId: string;
  readonly sessionId: string;
  readonly buildId: string;
}

/** The owner judged an activation lost. */
export interface LoseActivation {
  readonly type: 'LoseActivation';
  readonly epoch: number;
  readonly reason: 'worker-lost' | 'worker-replaced' | 'worker-stalled' | 'not-claimed' | 'refused' | 'unsendable';
}

/** The worker did not finish in time what it was doing for a run that is to pause. */
export interface EnforcePause {
  readonly type: 'EnforcePause';
  readonly epoch: number;
}

/** A person has said what became of an effect that is in question. */
export interface ResolveEffect extends RunCommandOf<'ResolveEffect'> {
  readonly by: { readonly kind: 'user' | 'worker' | 'service'; readonly id: string };
}

/** What the owner has found by looking at the signature: it is not the signer's, or is not about this run. */
interface Examined {
  readonly flaw?: { readonly code: ApprovalRefusal; readonly message: string };
}

/** A person has decided on an approval. */
export interface RecordVote extends RunCommandOf<'RecordVote'>, Examined {}

/** A person has tried what it may not. */
export interface RecordRefusal extends RunCommandOf<'RecordRefusal'>, Examined {}

/** Who speaks, and what that person may decide as. */
interface Spoken {
  readonly by: string;
  readonly roles: readonly string[];
}

/** A person answers what the run asks. */
export interface AnswerTask extends RunCommandOf<'AnswerTask'>, Spoken {
  /** What does not fit the form, one line for each, and of which question that form was. */
  readonly checked: { readonly asked: number | undefined; readonly issues: readonly string[] };
}

/** A person gives to another what the run asks. */
export interface DelegateTask extends RunCommandOf<'DelegateTask'>, Spoken {}

/** A person has an effect in the dead letters tried again, or gives it up. */
export interface DeadLetterCommand extends Omit<RunCommandOf<'RedriveEffect' | 'GiveUpEffect'>, 'type'> {
  readonly type: 'RedriveEffect' | 'GiveUpEffect';
  readonly by: ResolveEffect['by'];
}

/** The worker did not let go of a cancelled run in time. */
export interface EnforceCancel {
  readonly type: 'EnforceCancel';
  readonly epoch: number;
}

/** From a worker of the tool's pool, as the owner knows it. */
export interface ClaimEffect extends Omit<RunCommandOf<'ClaimEffect'>, 'workerId' | 'sessionId' | 'ticket'> {
  readonly executor: Executor;
  /** It shows the ticket of the newest offer of this very work. */
  readonly isOffered: boolean;
}

export interface ReportEffect extends Omit<RunCommandOf<'ReportEffect'>, 'workerId' | 'sessionId' | 'ticket'> {
  readonly executor: Executor;
  readonly isOffered: boolean;
}

/** The owner judged the executor of an effect lost. */
export interface LoseExecution {
  readonly type: 'LoseExecution';
  readonly call: string;
  readonly executionId: string;
}

export type DomainCommand =
  | RequestRun
  | RequestFork
  | RewindRun
  | PlaceRun
  | LoseActivation
  | EnforceCancel
  | EnforcePause
  | RunCommandOf<'ReleaseRun'>
  | RunCommandOf<'RefuseRun'>
  | RunCommandOf<'CancelRun'>
  | RunCommandOf<'PauseRun'>
  | RunCommandOf<'TerminateRun'>
  | RunCommandOf<'ResumeRun'>
  | RunCommandOf<'RepinRun'>
  | RunCommandOf<'SignalRun'>
  | ResolveEffect
  | ClaimEffect
  | ReportEffect
  | LoseExecution
  | EndChild
  | NoteChildStarted
  | NoteMessage
  | RecordVote
  | RecordRefusal
  | AnswerTask
  | DelegateTask
  | DeadLetterCommand
  | RunCommandOf<'FireTimer'>
  | RunCommandOf<'RecordProgress'>;

/** A command with all that deciding needs. */
export interface DecidedCommand {
  readonly command: DomainCommand;
  readonly at: Circumstances;
  readonly code: KnownCode;
}

/** Injected, since the domain imports nothing. */
export interface Identities {
  /** Of argument values: canonical JSON, SHA-256. */
  hash(value: unknown): string;
  /** The id of a child follows from who asks for it, and by which call: asked for again, it is the same run. */
  childRun(branch: number, call: string): string;
  /** A command id, the same for the same call of the same run at the same time. */
  messageId(branch: number, call: string, nowMs: number): string;
}
