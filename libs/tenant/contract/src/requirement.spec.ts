import { approvalPolicy, NO_APPROVALS, type ApprovalPolicy, type ArgumentPredicate, type TenantApprovals } from './approvals';
import { holds, requirementOf } from './requirement';

const policy = (name: string, more: Partial<ApprovalPolicy> = {}): ApprovalPolicy =>
  approvalPolicy.parse({ name, tools: ['pay'], roles: ['finance'], ...more });

function inForce(...policies: readonly ApprovalPolicy[]): TenantApprovals {
  return { ...NO_APPROVALS, policies: new Map(policies.map((each, version) => [each.name, { policy: each, version }])) };
}

describe('a condition on arguments', () => {
  const args = { amount: 5_000, to: { country: 'DE' }, items: [{ price: 1 }, { price: 9 }], none: null };
  it.each<readonly [path: string, op: ArgumentPredicate['op'], value: unknown, expected: boolean]>([
    ['amount', 'gt', 1_000, true],
    ['amount', 'gt', 5_000, false],
    ['amount', 'gte', 5_000, true],
    ['amount', 'lt', 5_000, false],
    ['amount', 'lte', 5_000, true],
    ['to.country', 'eq', 'DE', true],
    ['to.country', 'eq', 'FR', false],
    ['to.country', 'ne', 'FR', true],
    ['to.country', 'in', ['FR', 'DE'], true],
    ['to.country', 'in', ['FR'], false],
    ['items.*.price', 'gt', 5, true],
    ['items.0.price', 'gt', 5, false],
    ['none', 'exists', true, true],
    ['more', 'exists', true, false],
    ['more', 'exists', false, true],
    ['toString', 'exists', true, false],
  ])('%s %s %j is %s', (...[path, op, value, expected]) => {
    expect(holds({ path, op, value }, args)).toBe(expected);
  });

  it.each([{ amount: '5000' }, { amount: [5_000] }, { amount: null }, {}, null, 'amount'])(
    'holds for arguments that cannot be compared: %j',
    (given) => {
      expect(holds({ path: 'amount', op: 'gt', value: 1_000 }, given)).toBe(true);
      expect(holds({ path: 'amount', op: 'eq', value: 1_000 }, given)).toBe(true);
    },
  );
});

describe('the policy that an effect comes under', () => {
  const effect = { tool: 'pay', args: { amount: 5_000 }, isRequired: false };
  const over = (value: number): ArgumentPredicate[] => [{ path: 'amount', op: 'gt', value }];

  it('is one that names the tool, if all its conditions hold', () => {
    expect(requirementOf(inForce(policy('a', { when: over(1_000) })), effect)?.policy.name).toBe('a');
    expect(requirementOf(inForce(policy('a', { when: [...over(1_000), ...over(9_000)] })), effect)).toBeUndefined();
    expect(requirementOf(inForce(policy('a', { tools: ['mail'] })), effect)).toBeUndefined();
    expect(requirementOf(inForce(policy('a', { tools: ['*'] })), effect)?.policy.name).toBe('a');
  });

  it('is the strictest of several', () => {
    const all = inForce(policy('a'), policy('c', { quorum: 2 }), policy('b', { quorum: 2, expiresAfterMs: 1_000 }));
    expect(requirementOf(all, effect)?.policy.name).toBe('b');
  });

  it('is the default one of a tool that asks for approval by itself, where no other applies', () => {
    const required = { ...effect, isRequired: true };
    expect(requirementOf(NO_APPROVALS, required)).toMatchObject({ version: 0, policy: { roles: ['approver'], quorum: 1 } });
    expect(requirementOf(inForce(policy('a')), required)?.policy.name).toBe('a');
  });
});
