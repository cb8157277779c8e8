import { shownOf } from '@perdure/kernel';
import type { RunEventOf, VoteStatement } from '@perdure/run-contract';
import type { ApprovalPolicy, Approver, TenantApprovals } from '@perdure/tenant-contract';

/**
 * Whether the signer puts its name to what a person says.
 *
 * 1. What counts is what the log says: the effect as it was intended, the policy as it was set, the approver as it is enrolled now.
 * 2. The request in the run's stream must ask for exactly what its policy asks for: nobody who writes it can weaken it.
 */

/** What the log of the run says of the effect. */
export interface RequestedApproval {
  readonly request: RunEventOf<'ApprovalRequested'>['data'];
  readonly effect: Pick<RunEventOf<'EffectIntended'>['data'], 'call' | 'tool' | 'args'>;
  readonly run: { readonly name: string; readonly requestedBy: string };
}

export interface Decision {
  readonly tenant: string;
  readonly runId: string;
  readonly approver: string;
  readonly decision: 'approve' | 'deny';
  /** Of what the person has seen, where it says so. */
  readonly shownHash?: string | undefined;
  /** Present when the arguments were changed. */
  readonly edited?: { readonly args: unknown };
}

export interface Surroundings {
  readonly nowMs: number;
  readonly voteId: string;
  readonly approvals: TenantApprovals;
  hash(value: unknown): string;
}

export type Judgement =
  { readonly statement: VoteStatement } | { readonly refused: { readonly code: string; readonly message: string } };

export function judgeDecision(decision: Decision, found: RequestedApproval, at: Surroundings): Judgement {
  const { request, effect, run } = found;
  const policy = at.approvals.versions.get(request.policyVersion);
  if (policy === undefined || !isAskedBy(policy, request))
    return refused(
      'PolicyMismatch',
      `The request does not ask for what version ${request.policyVersion} of the policy ${request.policy} asks for.`,
    );
  const shownHash = at.hash(shownOf({ ...effect, name: run.name, why: policy.name, requestedBy: run.requestedBy }));
  if (at.hash(effect.args) !== request.argsHash || shownHash !== request.shownHash || run.requestedBy !== request.requestedBy)
    return refused('OtherRequest', 'The request is about something else than what the effect intends.');
  if (decision.shownHash !== undefined && decision.shownHash !== shownHash)
    return refused('OtherRequest', 'Something else is asked for by now than what was shown. Look at it again.');
  if (at.nowMs >= request.expiresAtMs) return refused('ApprovalExpired', 'The time to decide is over.');
  const approver = at.approvals.approvers.get(decision.approver);
  if (approver === undefined) return refused('UnknownApprover', `Nobody is enrolled as ${decision.approver}, or no longer.`);
  if (policy.separationOfDuties && approver.id === run.requestedBy)
    return refused('SelfApproval', `${approver.id} has requested the run, and may not decide on it.`);
  const role = roleOf(approver, policy, { request, nowMs: at.nowMs });
  if (role === undefined)
    return refused('WrongRole', `${approver.id} has none of the roles that may decide: ${policy.roles.join(', ')}.`);
  const argsHash = decision.edited === undefined ? request.argsHash : at.hash(decision.edited.args);
  return { statement: statementOf({ decision, request, policy, role, argsHash }, at) };
}

interface Agreed {
  readonly decision: Decision;
  readonly request: RequestedApproval['request'];
  readonly policy: ApprovalPolicy;
  readonly role: string;
  readonly argsHash: string;
}

function statementOf({ decision, request, policy, role, argsHash }: Agreed, at: Surroundings): VoteStatement {
  return {
    v: 1,
    id: at.voteId,
    tenant: decision.tenant,
    runId: decision.runId,
    branch: request.branch ?? 0,
    call: request.call,
    tool: request.tool,
    toolVersion: request.toolVersion,
    argsHash,
    shownHash: request.shownHash,
    policy: policy.name,
    policyVersion: request.policyVersion,
    approver: decision.approver,
    role,
    quorum: policy.quorum,
    decision: decision.decision,
    votedAtMs: at.nowMs,
    expiresAtMs: request.expiresAtMs,
  };
}

function isAskedBy(policy: ApprovalPolicy, request: RequestedApproval['request']): boolean {
  const { requestedAtMs, expiresAtMs, escalations } = request;
  return (
    policy.name === request.policy &&
    policy.quorum === request.quorum &&
    policy.separationOfDuties === request.separationOfDuties &&
    expiresAtMs - requestedAtMs <= policy.expiresAfterMs &&
    isSame(policy.roles, request.roles) &&
    escalations.every(({ atMs, role }) =>
      policy.escalation.some((step) => step.role === role && atMs - requestedAtMs >= step.afterMs),
    )
  );
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((role) => right.includes(role));
}

/** The first of its roles that may decide by now. */
function roleOf(
  { roles }: Approver,
  policy: ApprovalPolicy,
  { request, nowMs }: { readonly request: RequestedApproval['request']; readonly nowMs: number },
): string | undefined {
  const escalated = request.escalations.filter(({ atMs }) => atMs <= nowMs).map(({ role }) => role);
  return roles.find((role) => policy.roles.includes(role) || escalated.includes(role));
}

function refused(code: string, message: string): Judgement {
  return { refused: { code, message } };
}
