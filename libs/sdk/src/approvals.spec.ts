import type { Approval } from '@perdure/approval-contract';
import { signerRequest, type Decide } from '@perdure/approval-contract';
import { canonicalJson, shownOf, signedText, type Bus } from '@perdure/kernel';
import { ed25519 } from '@perdure/platform-host-node';
import { ballotOf } from '@perdure/run-contract';
import { approverKey } from './approvals';
import { Client } from './client';
import { VirtualHost } from './spec-kit/virtual-host';

const approval: Approval = {
  runId: 'run1',
  tenant: 'acme',
  call: 't1.0',
  branch: 2,
  name: 'payer',
  tool: 'pay',
  toolVersion: 'v1',
  status: 'open',
  policy: 'large',
  policyVersion: 3,
  roles: ['finance'],
  quorum: 2,
  agreed: [],
  requestedBy: 'ada',
  separationOfDuties: true,
  argsHash: 'what the gateway says it is',
  shownHash: 'what the gateway says it is',
  requestedAtMs: 1,
  expiresAtMs: 2,
  refusals: 0,
  requestRevision: 5,
  revision: 5,
  args: { to: 'bob', amount: 5_000 },
};
const KEY = approverKey(Buffer.alloc(32, 5).toString('base64'));
const WHO = { approver: 'grace', secret: 'told once' };

function world(answer: (attempt: number) => unknown) {
  const host = new VirtualHost();
  const sent: { readonly subject: string; readonly payload: string }[] = [];
  const bus: Bus = {
    request: async (subject, payload) => {
      sent.push({ subject, payload });
      return JSON.stringify(answer(sent.length));
    },
    publish: () => undefined,
    subscribe: () => ({ close: async () => undefined }),
    onReconnect: () => ({ close: async () => undefined }),
  };
  const { approvals } = new Client({ bus, host }, { tenant: 'acme' });
  const hash = (value: unknown): string => host.digest.sha256(canonicalJson(value));
  const decision = (): Decide => signerRequest.parse(JSON.parse(sent.at(-1)?.payload ?? '')).command as Decide;
  const settle = async <T>(work: Promise<T>): Promise<T> => {
    let isSettled = false;
    const end = (): void => void (isSettled = true);
    work.then(end, end);
    await host.until(() => isSettled);
    return work;
  };
  return { approvals, sent, settle, hash, decision };
}

const ok = (value?: unknown) => ({ ok: true, value });
const refused = (code: string, reaction = 'terminal') => ({ ok: false, error: { code, message: 'no', reaction } });
const { args: _, ...line } = approval;

describe('the approvals of a client', () => {
  it('lists those that wait, unless others are asked for', async () => {
    const { approvals, sent, settle } = world(() => ok([line]));
    expect(await settle(approvals.list({ role: 'finance', limit: 5 }))).toEqual([line]);
    await settle(approvals.list({ status: 'all' }));
    expect(sent.map(({ payload }) => (JSON.parse(payload) as { command: unknown }).command)).toEqual([
      { type: 'ListApprovals', status: 'open', role: 'finance', limit: 5 },
      { type: 'ListApprovals' },
    ]);
    expect(sent[0]?.subject).toBe('perdure.req.acme.approvals.inbox');
  });

  it('are asked for again while the gateway does not know all of them', async () => {
    const { approvals, sent, settle } = world((attempt) => (attempt === 1 ? refused('InboxIncomplete', 'retryable') : ok([])));
    expect(await settle(approvals.list())).toEqual([]);
    expect(sent).toHaveLength(2);
  });

  it('are shown with their arguments', async () => {
    const { approvals, settle } = world(() => ok(approval));
    expect(await settle(approvals.get('run1', 't1.0'))).toEqual(approval);
  });

  it('are agreed to as they were shown, whatever the gateway says that its hash is', async () => {
    const { approvals, sent, settle, hash, decision } = world(() => ok());
    await settle(approvals.approve(approval, { ...WHO, reason: 'agreed by phone' }));
    expect(sent[0]?.subject).toBe('perdure.signer.acme');
    const { name, call, tool, args, policy: why, requestedBy } = approval;
    const shownHash = hash(shownOf({ name, call, tool, args, why, requestedBy }));
    const said = { decision: 'approve', reason: 'agreed by phone' };
    expect(decision()).toEqual({ type: 'Decide', runId: 'run1', call: 't1.0', ...WHO, shownHash, ...said });
  });

  it('are agreed to by the very same request until it is answered', async () => {
    const { approvals, sent, settle } = world((attempt) => (attempt === 1 ? refused('NoResponders', 'retryable') : ok()));
    await settle(approvals.approve(approval, WHO));
    expect(sent).toHaveLength(2);
    expect(new Set(sent.map(({ payload }) => payload)).size).toBe(1);
  });

  it.each([
    ['agreed to', 'approve' as const, {}],
    ['agreed to with other arguments', 'approve' as const, { args: { amount: 1 } }],
    ['denied', 'deny' as const, {}],
  ])('are %s by a key of ones own, which signs exactly that', async (_what, verb, edit) => {
    const { approvals, settle, hash, decision } = world(() => ok());
    await settle(approvals[verb](approval, { approver: 'grace', key: KEY, ...edit }));
    const { signature = '', shownHash = '', secret } = decision();
    const ballot = ballotOf({
      ...approval,
      argsHash: hash({ ...approval, ...edit }.args),
      shownHash,
      decision: verb,
      approver: 'grace',
    });
    expect(ed25519.verify(KEY.publicKey, signedText('ballot', ballot), signature)).toBe(true);
    expect(secret).toBeUndefined();
  });

  it('are denied for a reason', async () => {
    const { approvals, settle, decision } = world(() => ok());
    await settle(approvals.deny(approval, { ...WHO, reason: 'too much' }));
    expect(decision()).toMatchObject({ decision: 'deny', reason: 'too much' });
  });

  it('say with a typed error why somebody may not decide', async () => {
    const { approvals, settle } = world(() => refused('SelfApproval'));
    const trying = settle(approvals.approve(approval, WHO));
    await expect(trying).rejects.toMatchObject({ code: 'SelfApproval', reaction: 'terminal' });
  });

  it('are not signed with what is no key', () => {
    expect(() => approverKey('short')).toThrow(expect.objectContaining({ code: 'InvalidKey' }));
  });
});
