import type { ProgressEntry, RunEvent, RunEventOf, Vote, VoteStatement } from '@perdure/run-contract';
import { approvalPolicy, type ApprovalPolicy } from '@perdure/tenant-contract';
import {
  agentManifest,
  assigned,
  commandIdAt,
  deciderSpec,
  fact,
  intendedEffect,
  knownCode,
  progress,
  requested,
  specIdentities,
  START_MS,
  toolManifest,
  workflowManifest,
} from '@perdure/testing';
import type { DomainCommand } from '../run.commands';
import { runDecider } from '../run.decider';
import { pendingEffects } from '../run.effects';

/** What the specs of approvals share: a workflow that pays by a tool whose use a policy watches over. */

export const decider = runDecider(specIdentities);
export const given = deciderSpec(decider, pendingEffects);

export const ARGS = { amount: 5 };
export const EXPIRES_MS = START_MS + 60_000;
export const ESCALATES_MS = START_MS + 10_000;
export const POLICY: ApprovalPolicy = approvalPolicy.parse({
  name: 'large',
  tools: ['pay'],
  roles: ['finance'],
  quorum: 2,
  expiresAfterMs: 60_000,
  escalation: [{ afterMs: 10_000, role: 'director' }],
});
const PAY = toolManifest('pay', { effectClass: 'irreversible' });

export function code(policy: ApprovalPolicy | undefined = POLICY, kind: 'workflow' | 'agent' = 'workflow') {
  const behaviour = kind === 'agent' ? agentManifest() : workflowManifest();
  const version = 4;
  return { ...knownCode(behaviour, [PAY]), approvalOf: () => (policy === undefined ? undefined : { policy, version }) };
}

type Request = RunEventOf<'ApprovalRequested'>['data'];
export const asked = (data: Partial<Request> = {}): RunEventOf<'ApprovalRequested'> =>
  fact('ApprovalRequested', {
    call: '1',
    tool: 'pay',
    toolVersion: JSON.stringify(PAY),
    argsHash: JSON.stringify(ARGS),
    shownHash: JSON.stringify({ name: 'invoice', call: '1', tool: 'pay', args: ARGS, why: 'large', requestedBy: 'ada' }),
    policy: 'large',
    policyVersion: 4,
    roles: ['finance'],
    quorum: 2,
    separationOfDuties: true,
    requestedBy: 'ada',
    name: 'invoice',
    requestedAtMs: START_MS,
    expiresAtMs: EXPIRES_MS,
    escalations: [{ atMs: ESCALATES_MS, role: 'director' }],
    ...data,
  });
export const expirySet = fact('TimerSet', {
  timerId: 'approval-1-expiry',
  purpose: 'approval-expiry',
  call: '1',
  dueAtMs: EXPIRES_MS,
});
export const escalationSet = fact('TimerSet', {
  timerId: 'approval-1-1',
  purpose: 'approval-escalation',
  call: '1',
  dueAtMs: ESCALATES_MS,
});
export const escalationCancelled = fact('TimerCancelled', { timerId: 'approval-1-1' });
export const begun = [requested({ requestedBy: 'ada' }), assigned()];
export const waiting: readonly RunEvent[] = [
  ...begun,
  intendedEffect('1', { effectClass: 'irreversible', argsHash: JSON.stringify(ARGS) }),
  asked(),
  expirySet,
  escalationSet,
];
export const suspended = fact('RunSuspended', { epoch: 1 });
export const WOKEN = fact('RunWoken', { preferredWorkerId: 'worker-1' });

export function voteOf(approver: string, data: Partial<VoteStatement> = {}): Vote {
  const { toolVersion, shownHash } = asked().data;
  const statement: VoteStatement = {
    v: 1,
    id: `vote-of-${approver}`,
    tenant: 'acme',
    runId: 'run-1',
    branch: 0,
    call: '1',
    tool: 'pay',
    toolVersion,
    argsHash: JSON.stringify(ARGS),
    shownHash,
    policy: 'large',
    policyVersion: 4,
    approver,
    role: 'finance',
    quorum: 2,
    decision: 'approve',
    votedAtMs: START_MS,
    expiresAtMs: EXPIRES_MS,
    ...data,
  };
  return { statement, signature: `signature of ${approver}` };
}

/** The id of the command is that of a vote. */
export const idOf = (n: number, nowMs = START_MS): string => commandIdAt(nowMs, n);
export const recording = (vote: Vote, more: { readonly args?: unknown; readonly reason?: string } = {}): DomainCommand => ({
  type: 'RecordVote',
  call: '1',
  vote,
  ...more,
});
export const ask = (command: DomainCommand, { n = 1, nowMs = START_MS, known = code() } = {}) => ({
  command,
  at: { nowMs, commandId: idOf(n, nowMs), fraction: 0.5 },
  code: known,
});
export const reporting = (entry: ProgressEntry, { nowMs = START_MS, known = code() } = {}) => ({
  ...progress({ nowMs }, entry),
  code: known,
});
export const voted = (approver: string, n: number, data: Partial<RunEventOf<'ApprovalVoted'>['data']> = {}) =>
  fact('ApprovalVoted', { call: '1', vote: voteOf(approver), commandId: idOf(n), ...data });
export const GRANT_ID = JSON.stringify(['vote-of-grace', 'vote-of-edsger']);
export const granted = (data: Partial<RunEventOf<'ApprovalGranted'>['data']> = {}) =>
  fact('ApprovalGranted', {
    call: '1',
    grantId: GRANT_ID,
    argsHash: JSON.stringify(ARGS),
    approvers: ['grace', 'edsger'],
    expiresAtMs: EXPIRES_MS,
    ...data,
  });
export const approved: readonly RunEvent[] = [...waiting, voted('grace', 1), voted('edsger', 2), granted(), escalationCancelled];
