import { signedText, token } from '@perdure/kernel';
import { ed25519, signingKeyOf } from '@perdure/platform-host-node';
import {
  NO_APPROVALS,
  POLICY_IN_FORCE_MS,
  tenantRequestSubject,
  type ApprovalChange,
  type SignedChange,
  type TenantApprovals,
} from '@perdure/tenant-contract';
import { LoopbackBus, ManualHost } from '@perdure/testing';
import { change } from './change';
import type { SignerPorts } from './ports';

const KEY = signingKeyOf(Buffer.alloc(32, 7));
const policy = { name: 'large', tools: ['pay'], roles: ['finance'] };
const SET = { type: 'ApprovalPolicySet', policy };
const ENROL = { type: 'ApproverEnrolled', approver: { id: 'grace', roles: ['finance'] } };

/** The owner of the tenant appends everything, or answers with an error. */
function world(approvals: TenantApprovals = { ...NO_APPROVALS, revision: 3 }, error?: string) {
  const host = new ManualHost();
  const bus = new LoopbackBus(host);
  const appended: SignedChange[] = [];
  const secrets: string[] = [];
  bus.subscribe(tenantRequestSubject.build(token('acme', 'tenant')), (message) => {
    const { command } = JSON.parse(message.payload) as { readonly command: { readonly signed: SignedChange } };
    if (error === undefined) appended.push(command.signed);
    const refused = { ok: false, error: { code: error, message: 'no', reaction: 'retryable' } };
    message.respond(JSON.stringify(error === undefined ? { ok: true, value: { revision: 4 } } : refused));
  });
  const ports: SignerPorts = {
    bus,
    host,
    key: KEY,
    signatures: ed25519,
    runs: { find: async () => undefined },
    approvals: { newest: async () => approvals },
    secrets: {
      issue: async (_, id) => `secret of ${id}`,
      forget: async (_, id) => void secrets.push(`forgot ${id}`),
      holds: () => false,
      isAdministrator: (secret) => secret === 'root',
    },
    tools: { issues: async () => [] },
  };
  const make = (made: unknown, secret = 'root') =>
    change(ports, { tenant: 'acme', command: { type: 'Change', secret, by: 'ada', change: made } });
  return { host, make, appended, secrets };
}

describe('a change of policies and approvers', () => {
  it('is signed as the one after the last, and named after who made it', async () => {
    const { make, appended } = world();
    expect(await make(ENROL)).toEqual({ revision: 4, secret: 'secret of grace' });
    const [{ statement, signature } = { statement: undefined, signature: '' }] = appended;
    expect(statement).toMatchObject({ tenant: 'acme', after: 3, by: 'ada', change: ENROL });
    expect(ed25519.verify(KEY.publicKey, signedText('change', statement), signature)).toBe(true);
  });

  it.each([SET, { type: 'ApprovalPolicyRemoved', name: 'large' }])(
    'of a policy ($type) is answered when it is in force everywhere',
    async (made) => {
      const policies = new Map([['large', { policy: policy as never, version: 1 }]]);
      const { make, host, appended } = world({ ...NO_APPROVALS, policies });
      const answers: unknown[] = [];
      void make(made).then((answer) => answers.push(answer));
      await host.advance(POLICY_IN_FORCE_MS - 1);
      expect([appended.length, answers]).toEqual([1, []]);
      await host.advance(1);
      expect(answers).toEqual([{ revision: 4 }]);
    },
  );

  it('gives no secret to who has a key of its own', async () => {
    const { make } = world();
    const approver = { ...ENROL.approver, publicKey: KEY.publicKey };
    expect(await make({ ...ENROL, approver })).toEqual({ revision: 4 });
  });

  it('that revokes an approver makes its secret worthless', async () => {
    const approvers = new Map([['grace', ENROL.approver]]);
    const { make, secrets } = world({ ...NO_APPROVALS, approvers });
    await make({ type: 'ApproverRevoked', id: 'grace' });
    expect(secrets).toEqual(['forgot grace']);
  });

  it.each<[string, ApprovalChange | object, string]>([
    ['NotIdentified', SET, 'guessed'],
    ['InvalidChange', { type: 'ApprovalPolicySet', policy: { ...policy, quorum: 0 } }, 'root'],
    ['NoSuchPolicy', { type: 'ApprovalPolicyRemoved', name: 'small' }, 'root'],
    ['UnknownApprover', { type: 'ApproverRevoked', id: 'eve' }, 'root'],
  ])('is refused as %s, and nothing is signed', async (code, made, secret) => {
    const { make, appended } = world();
    await expect(make(made, secret)).rejects.toMatchObject({ code, reaction: 'terminal' });
    expect(appended).toEqual([]);
  });

  it('that another one has overtaken gives no secret away', async () => {
    const { make } = world(NO_APPROVALS, 'ChangedMeanwhile');
    await expect(make(ENROL)).rejects.toMatchObject({ code: 'ChangedMeanwhile', reaction: 'retryable' });
  });
});
