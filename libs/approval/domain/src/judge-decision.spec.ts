import { shownOf } from '@perdure/kernel';
import { approvalPolicy, NO_APPROVALS, type Approver, type TenantApprovals } from '@perdure/tenant-contract';
import { judgeDecision, type Decision, type RequestedApproval } from './judge-decision';

const NOW = 1_000_000;
const hash = (value: unknown): string => JSON.stringify(value);
const policy = approvalPolicy.parse({
  name: 'large',
  tools: ['pay'],
  roles: ['finance'],
  quorum: 2,
  expiresAfterMs: 60_000,
  escalation: [{ afterMs: 10_000, role: 'director' }],
});
const people: readonly Approver[] = [
  { id: 'grace', roles: ['viewer', 'finance'] },
  { id: 'ada', roles: ['finance'] },
  { id: 'vera', roles: ['viewer'] },
  { id: 'alan', roles: ['director'] },
];
const approvals: TenantApprovals = {
  ...NO_APPROVALS,
  versions: new Map([[4, policy]]),
  approvers: new Map(people.map((person) => [person.id, person])),
};
const effect = { call: '1', tool: 'pay', args: { amount: 5 } };
const run = { name: 'treasurer', requestedBy: 'ada' };
const request: RequestedApproval['request'] = {
  call: '1',
  tool: 'pay',
  toolVersion: 'v',
  argsHash: hash(effect.args),
  shownHash: hash(shownOf({ ...effect, ...run, why: 'large' })),
  policy: 'large',
  policyVersion: 4,
  roles: ['finance'],
  quorum: 2,
  separationOfDuties: true,
  requestedBy: 'ada',
  name: 'treasurer',
  requestedAtMs: NOW,
  expiresAtMs: NOW + 60_000,
  escalations: [{ atMs: NOW + 10_000, role: 'director' }],
};

function judge(who: string, more: { decision?: Partial<Decision>; found?: Partial<RequestedApproval>; nowMs?: number } = {}) {
  const decision = { tenant: 'acme', runId: 'r1', approver: who, decision: 'approve' as const, ...more.decision };
  const found = { request, effect, run, ...more.found };
  return judgeDecision(decision, found, { nowMs: more.nowMs ?? NOW, voteId: 'id', approvals, hash });
}

describe('the signer', () => {
  it('signs what an approver with the role says of exactly what the log says', () => {
    expect(judge('grace')).toMatchObject({
      statement: { approver: 'grace', role: 'finance', argsHash: request.argsHash, shownHash: request.shownHash, quorum: 2 },
    });
  });

  it('signs for the arguments that the person has put in their place', () => {
    const args = { amount: 3 };
    expect(judge('grace', { decision: { edited: { args } } })).toMatchObject({ statement: { argsHash: hash(args) } });
  });

  it('lets a role decide that it was escalated to, not before', () => {
    expect(judge('alan')).toMatchObject({ refused: { code: 'WrongRole' } });
    expect(judge('alan', { nowMs: NOW + 10_000 })).toMatchObject({ statement: { role: 'director' } });
  });

  it.each<readonly [string, string, Parameters<typeof judge>[1]]>([
    ['UnknownApprover', 'eve', {}],
    ['WrongRole', 'vera', {}],
    ['SelfApproval', 'ada', {}],
    ['ApprovalExpired', 'grace', { nowMs: NOW + 60_000 }],
    ['OtherRequest', 'grace', { found: { effect: { ...effect, args: { amount: 500 } } } }],
    ['OtherRequest', 'grace', { found: { effect: { ...effect, tool: 'other' } } }],
    ['OtherRequest', 'grace', { found: { run: { ...run, requestedBy: 'grace' } } }],
    ['PolicyMismatch', 'grace', { found: { request: { ...request, quorum: 1 } } }],
    ['PolicyMismatch', 'grace', { found: { request: { ...request, roles: ['viewer'] } } }],
    ['PolicyMismatch', 'grace', { found: { request: { ...request, separationOfDuties: false } } }],
    ['PolicyMismatch', 'grace', { found: { request: { ...request, expiresAtMs: NOW + 60_001 } } }],
    ['PolicyMismatch', 'grace', { found: { request: { ...request, escalations: [{ atMs: NOW, role: 'viewer' }] } } }],
    ['PolicyMismatch', 'grace', { found: { request: { ...request, policyVersion: 3 } } }],
  ])('does not sign: %s', (code, who, more) => {
    expect(judge(who, more)).toMatchObject({ refused: { code } });
  });
});
