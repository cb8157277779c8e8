import { accept, mustBeClaimed, type Decision, type ErrorRecord } from '@perdure/kernel';
import type { ApprovalRefusal, RunEvent, RunRejection, Vote } from '@perdure/run-contract';
import type { ToolApproval } from './approval.state';
import { closing } from '../closing';
import { APPROVAL_REFUSALS_KEPT } from '../bounds';
import { recallCommand } from '../command-memory';
import { commandExpired, notYet, refusal } from '../rejection';
import type { DecidedCommand, KnownCode, RecordRefusal, RecordVote } from '../run.commands';
import { evolve } from '../run.evolve';
import { hasWork, isOpen, woken, type OpenRun, type OpenTimer, type OpenTool, type RunState } from '../run.state';

/**
 * Approvals of effects.
 *
 * 1. An effect that needs an approval is claimed, whatever its class, and only under a grant for exactly its arguments.
 * 2. Persons speak through the signer: what it has not signed counts for nothing.
 * 3. Whatever is tried against that is a fact, up to a bound, and changes nothing else.
 * 4. What the grant of an effect says holds for each attempt at it, until it expires.
 */
type RunDecision = Decision<RunEvent, RunRejection>;
type Given<C> = DecidedCommand & { readonly command: C };
type Ruling = Pick<DecidedCommand, 'at' | 'code'>;

interface Flaw {
  readonly code: ApprovalRefusal;
  readonly message: string;
}

/** Whether each execution of it has to be claimed. */
export function needsClaim({ effectClass, approval }: Pick<OpenTool, 'effectClass' | 'approval'>): boolean {
  return approval !== undefined || mustBeClaimed(effectClass);
}

export function decideVote(given: Given<RecordVote> & { hash(value: unknown): string }, run: OpenRun): RunDecision {
  const { command, at } = given;
  const memory = recallCommand(run, at.commandId);
  if (memory === 'repeated' || isKnownRefusal(run, at.commandId)) return accept();
  if (memory === 'expired') return commandExpired();
  const { call, vote } = command;
  const open = run.calls.get(call);
  const asked = open?.kind === 'tool' ? open : undefined;
  const flaw = command.flaw ?? flawOf(given, asked);
  if (flaw !== undefined) return refused(run, { call, ...flaw, by: vote.statement.approver, commandId: at.commandId });
  const waiting = asked as OpenTool & { readonly approval: ToolApproval };
  return vote.statement.decision === 'deny' ? denied(given, run, waiting) : approved(given, run, waiting);
}

function flawOf(
  { command, at, hash }: Given<RecordVote> & { hash(value: unknown): string },
  open: OpenTool | undefined,
): Flaw | undefined {
  const { statement } = command.vote;
  if (open?.approval === undefined) return { code: 'NoSuchApproval', message: `Nobody is asked to approve ${command.call}.` };
  const { approval } = open;
  if (approval.stage !== 'waiting')
    return { code: 'ApprovalClosed', message: `The approval of ${command.call} is ${approval.stage} already.` };
  if (at.nowMs >= approval.expiresAtMs) return { code: 'ApprovalExpired', message: 'It was to be decided on before now.' };
  if (!isOfRequest(statement, open, approval))
    return {
      code: 'OtherRequest',
      message: 'The vote is about another effect, tool, policy or request than the one that is asked about.',
    };
  if (!approval.roles.includes(statement.role))
    return { code: 'WrongRole', message: `The role ${statement.role} may not decide; one of ${approval.roles.join(', ')} may.` };
  if (approval.separationOfDuties && statement.approver === approval.requestedBy)
    return { code: 'SelfApproval', message: `${statement.approver} has requested the run, and may not decide on it.` };
  if (approval.votes.some((known) => known.statement.approver === statement.approver))
    return { code: 'DuplicateVote', message: `${statement.approver} has voted already; a person counts once.` };
  const argsHash = 'args' in command ? hash(command.args) : approval.argsHash;
  return statement.argsHash === argsHash
    ? undefined
    : { code: 'ChangedArguments', message: 'The vote is for other arguments than those that came with it.' };
}

function isOfRequest(statement: Vote['statement'], { call, tool }: OpenTool, approval: ToolApproval): boolean {
  return (
    statement.call === call &&
    statement.branch === (approval.branch ?? 0) &&
    statement.tool === tool &&
    statement.toolVersion === approval.toolVersion &&
    statement.shownHash === approval.shownHash &&
    statement.policy === approval.policy &&
    statement.policyVersion === approval.policyVersion &&
    statement.quorum === approval.quorum &&
    statement.expiresAtMs <= approval.expiresAtMs
  );
}

function approved(
  given: Given<RecordVote> & { hash(value: unknown): string },
  run: OpenRun,
  open: OpenTool & { readonly approval: ToolApproval },
): RunDecision {
  const { command, at, hash } = given;
  const { call, vote, reason } = command;
  const edited = 'args' in command ? { args: command.args } : {};
  const said = reason === undefined ? {} : { reason };
  const voted: RunEvent = { type: 'ApprovalVoted', data: { call, vote, ...edited, ...said, commandId: at.commandId } };
  const { argsHash } = vote.statement;
  const agreeing = [...open.approval.votes, vote].filter(({ statement }) => statement.argsHash === argsHash);
  if (agreeing.length < open.approval.quorum) return accept(voted);
  const granted: RunEvent = {
    type: 'ApprovalGranted',
    data: {
      call,
      grantId: hash(agreeing.map(({ statement }) => statement.id)),
      argsHash,
      ...(argsHash === open.approval.argsHash ? {} : edited),
      approvers: agreeing.map(({ statement }) => statement.approver),
      expiresAtMs: Math.min(...agreeing.map(({ statement }) => statement.expiresAtMs)),
    },
  };
  return accept(...awake(run, [voted, granted, ...withoutEscalations(run, call)]));
}

function denied({ command, at, code }: Given<RecordVote>, run: OpenRun, open: OpenTool): RunDecision {
  if (isWithoutCode(run, code)) return unknownAgent(run);
  const { call, vote, reason } = command;
  const said = reason === undefined ? {} : { reason };
  const message = `${vote.statement.approver} did not approve of ${open.tool}${reason === undefined ? '.' : `: ${reason}`}`;
  const denial: RunEvent = { type: 'ApprovalDenied', data: { call, vote, ...said, commandId: at.commandId } };
  return accept(...awake(run, ends(run, code, { open, first: denial, code: 'ApprovalDenied', message })));
}

/** Somebody tried something at the signer. */
export function decideRefusal({ command, at }: Given<RecordRefusal>, run: OpenRun): RunDecision {
  if (isKnownRefusal(run, at.commandId)) return accept();
  const { call, code, message, by } = command.refusal.statement;
  const flaw = command.flaw ?? { code: code as ApprovalRefusal, message };
  return refused(run, { call, ...flaw, by, commandId: at.commandId });
}

/** What the claim of an approved effect names. */
export function underGrant({ approval }: OpenTool): { readonly grantId?: string } {
  return approval?.grantId === undefined ? {} : { grantId: approval.grantId };
}

/** Why a claim is not granted, as facts; undefined when nothing stands against it. */
export function refusedClaim(
  entry: { readonly call: string; readonly grantId?: string | undefined; readonly workerId?: string },
  run: OpenRun,
  given: Ruling,
): RunDecision | undefined {
  const open = run.calls.get(entry.call);
  if (open?.kind !== 'tool' || open.approval === undefined) return undefined;
  const { approval, call } = open;
  const by = entry.workerId === undefined ? reporter(run) : `worker:${entry.workerId}`;
  const trial = { call, by, commandId: given.at.commandId };
  if (approval.stage !== 'granted')
    return refusedQuietly(run, { ...trial, code: 'GrantMissing', message: 'It was claimed before it was approved.' });
  if (entry.grantId !== approval.grantId)
    return refusedQuietly(run, {
      ...trial,
      code: 'GrantMismatch',
      message: 'The claim names another grant than that of this effect, or none.',
    });
  if (given.at.nowMs < approval.expiresAtMs) return undefined;
  if (isWithoutCode(run, given.code)) return unknownAgent(run);
  return expired(run, open, given);
}

/** Somebody says that it happened, of an effect that nobody has let begin. */
export function resultWithoutGrant({ call }: OpenTool, run: OpenRun, given: Ruling): RunDecision {
  const message = 'Its result was reported, and it was never claimed under a grant.';
  return refusedQuietly(run, { call, by: reporter(run), commandId: given.at.commandId, code: 'GrantMissing', message });
}

/** The executing worker does not believe the grant that it was given: its error says why, and the effect fails with it. */
export function refusedByWorker(
  { code, message }: ErrorRecord,
  run: OpenRun,
  { open, report }: { readonly open: OpenTool; readonly report: Ruling },
): readonly RunEvent[] {
  if (code !== 'GrantRefused' || run.refusals.length >= APPROVAL_REFUSALS_KEPT) return [];
  const told = message.slice(0, REFUSAL_MESSAGE_MAX);
  return [
    {
      type: 'ApprovalRefused',
      data: { call: open.call, code, message: told, by: reporter(run), commandId: report.at.commandId },
    },
  ];
}

function reporter(run: OpenRun): string {
  return run.status === 'active' ? `worker:${run.activation.workerId}` : 'worker';
}

/** A timer of an approval has come due. */
export function approvalTimerFired(given: Given<{ readonly type: 'FireTimer' }>, run: OpenRun, timer: OpenTimer): RunDecision {
  const fired: RunEvent = { type: 'TimerFired', data: { timerId: timer.timerId, dueAtMs: timer.dueAtMs } };
  const open = timer.call === undefined ? undefined : run.calls.get(timer.call);
  if (open?.kind !== 'tool' || open.approval === undefined) return accept(fired);
  const { stage, escalations } = open.approval;
  const [next] = escalations;
  if (timer.purpose === 'approval-escalation')
    return stage === 'waiting' && next !== undefined
      ? accept<RunEvent>(fired, { type: 'ApprovalEscalated', data: { call: open.call, role: next.role } })
      : accept(fired);
  // What is under way goes on; whether it may be tried again is asked then.
  if (stage === 'refused' || open.execution !== undefined) return accept(fired);
  if (isWithoutCode(run, given.code)) return unknownAgent(run);
  const decision = expired(run, open, given);
  return 'rejected' in decision ? decision : accept<RunEvent>(fired, ...decision.accepted);
}

function expired(run: OpenRun, open: OpenTool, { code }: Ruling): RunDecision {
  const { call, tool, approval } = open;
  const expiresAtMs = approval?.expiresAtMs ?? 0;
  const when = new Date(expiresAtMs).toISOString();
  const message =
    approval?.stage === 'granted'
      ? `The approval of ${tool} was given and not used before it expired at ${when}.`
      : `Nobody approved of ${tool} before ${when}.`;
  const first: RunEvent = { type: 'ApprovalExpired', data: { call, expiresAtMs } };
  return accept(...awake(run, ends(run, code, { open, first, code: 'ApprovalExpired', message })));
}

interface End {
  readonly open: OpenTool;
  readonly first: RunEvent;
  readonly code: 'ApprovalDenied' | 'ApprovalExpired';
  readonly message: string;
}

function ends(run: OpenRun, known: KnownCode, { open, first, code, message }: End): readonly RunEvent[] {
  const { call, attempt } = open;
  return closing(run, known, [
    first,
    ...withoutEscalations(run, call),
    { type: 'EffectFailed', data: { call, attempt, error: { code, message, reaction: 'terminal' } } },
  ]);
}

function withoutEscalations(run: OpenRun, call: string): readonly RunEvent[] {
  return [...run.timers.values()].flatMap(({ timerId, purpose, call: of }): RunEvent[] =>
    purpose === 'approval-escalation' && of === call ? [{ type: 'TimerCancelled', data: { timerId } }] : [],
  );
}

/** A run that waited for it goes on. */
function awake(run: OpenRun, events: readonly RunEvent[]): readonly RunEvent[] {
  if (run.status !== 'suspended') return events;
  const after = events.reduce<RunState>(evolve, run);
  return isOpen(after) && hasWork(after) ? [...events, woken(run)] : events;
}

interface Trial extends Flaw {
  readonly call: string;
  readonly by: string;
  readonly commandId: string;
}

/** The asker is told by what is remembered; beyond the bound, by the rejection alone. */
export function refused(run: OpenRun, trial: Trial): RunDecision {
  if (run.refusals.length >= APPROVAL_REFUSALS_KEPT)
    return refusal(trial.code, trial.message, { details: { call: trial.call, untold: true } });
  return accept<RunEvent>({ type: 'ApprovalRefused', data: { ...trial } });
}

/** A claim is part of a report that is accepted whole: it is simply not granted. */
function refusedQuietly(run: OpenRun, trial: Trial): RunDecision {
  const decision = refused(run, trial);
  return 'rejected' in decision ? accept() : decision;
}

function isKnownRefusal(run: OpenRun, commandId: string): boolean {
  return run.refusals.some((known) => known.commandId === commandId);
}

function isWithoutCode(run: OpenRun, code: KnownCode): boolean {
  return run.request.kind === 'agent' && code.behaviour === undefined;
}

/** As the contract has it. */
const REFUSAL_MESSAGE_MAX = 2_000;
const NEW_WORKER_MS = 1_000;

function unknownAgent(run: OpenRun): RunDecision {
  return notYet('UnknownAgent', `No registered build hosts ${run.request.name}: start a worker that does.`, NEW_WORKER_MS);
}
