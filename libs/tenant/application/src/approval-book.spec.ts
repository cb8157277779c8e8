import { signedText, type EventStore, type SigningKey } from '@perdure/kernel';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { ed25519, signingKeyOf } from '@perdure/platform-host-node';
import {
  approvalPolicy,
  POLICY_IN_FORCE_MS,
  tenantStream,
  type ApprovalChange,
  type SignedChange,
} from '@perdure/tenant-contract';
import { ManualHost } from '@perdure/testing';
import { ApprovalBook } from './approval-book';

const SIGNER = signingKeyOf(Buffer.alloc(32, 7));
const FORGER = signingKeyOf(Buffer.alloc(32, 8));
const STREAM = tenantStream.build('acme' as never);

const policy = (name: string, quorum = 1): ApprovalChange => ({
  type: 'ApprovalPolicySet',
  policy: approvalPolicy.parse({ name, tools: ['pay'], roles: ['finance'], quorum }),
});
const enrolled = (id: string): ApprovalChange => ({ type: 'ApproverEnrolled', approver: { id, roles: ['finance'] } });

function signed(
  change: ApprovalChange,
  after: number,
  by: { readonly key?: SigningKey; readonly tenant?: string } = {},
): SignedChange {
  const { key = SIGNER, tenant = 'acme' } = by;
  const statement = { v: 1 as const, tenant, after, by: 'root', atMs: 0, change };
  return { statement, signature: key.sign(signedText('change', statement)) };
}

function world({ signerKey = SIGNER.publicKey }: { signerKey?: string | undefined } = {}) {
  const host = new ManualHost();
  const inner = new MemoryEventStore(new MemoryLog(host.clock));
  const reads: (() => void)[] = [];
  const held = { isHeld: false, count: 0 };
  const store: Pick<EventStore, 'read'> = {
    read: async (...asked) => {
      held.count += 1;
      const page = await inner.read(...asked);
      if (held.isHeld) await new Promise<void>((resolve) => reads.push(resolve));
      return page;
    },
  };
  const append = (...changes: readonly { readonly type?: string; readonly data: unknown }[]) =>
    inner.append(
      STREAM,
      'any',
      changes.map(({ type = 'ApprovalPolicySet', data }) => ({ id: host.entropy.uuid(), type, data, metadata: {} })),
    );
  const set = (...changes: readonly SignedChange[]) =>
    append(...changes.map((data) => ({ type: data.statement.change.type, data })));
  const book = new ApprovalBook({ store, host, signatures: ed25519, signerKey: signerKey === 'none' ? undefined : signerKey });
  return { host, book, append, set, held, reads };
}

describe('the book of approvals', () => {
  it('has the policies and approvers that were changed last, and every version of a policy that there was', async () => {
    const { book, set } = world();
    await set(
      signed(policy('large', 1), -1),
      signed(policy('large', 2), 0),
      signed(enrolled('grace'), 1),
      signed(enrolled('rob'), 2),
    );
    await set(signed({ type: 'ApproverRevoked', id: 'rob' }, 3), signed(policy('tips'), 4));
    await set(signed({ type: 'ApprovalPolicyRemoved', name: 'tips' }, 5));
    const { policies, versions, approvers, revision } = await book.of('acme');
    expect([...policies].map(([name, known]) => [name, known.version, known.policy.quorum])).toEqual([['large', 1, 2]]);
    expect([...versions.keys()]).toEqual([0, 1, 5]);
    expect([...approvers.keys()]).toEqual(['grace']);
    expect(revision).toBe(6);
  });

  it('reads on where it was, through as many pages as there are', async () => {
    const { book, set, append, held } = world();
    await append(...Array.from({ length: 250 }, () => ({ type: 'BuildRegistered', data: {} })));
    await set(signed(policy('large'), -1));
    expect((await book.newest('acme')).policies.get('large')?.version).toBe(250);
    expect(held.count).toBe(2);
    await set(signed(enrolled('grace'), 250));
    expect((await book.newest('acme')).approvers.has('grace')).toBe(true);
  });

  it.each([
    ['is signed by another', signed(policy('large'), 0, { key: FORGER })],
    ['was signed for another tenant', signed(policy('large'), 0, { tenant: 'other' })],
    ['is one of before, told again', signed(policy('tips'), -1)],
    ['names a change that was not the last', signed(policy('large'), 7)],
    ['was changed after it was signed', { ...signed(policy('large'), 0), statement: signed(policy('large', 3), 0).statement }],
    ['is none', { policy: 'large' }],
  ])('passes over what %s, says so, and believes the signer after it', async (_, data) => {
    const { book, set, append, host } = world();
    await set(signed(policy('tips'), -1));
    await append({ data });
    await set(signed(policy('small'), 0));
    const { policies } = await book.of('acme');
    expect([...policies.keys()]).toEqual(['tips', 'small']);
    expect(policies.get('tips')?.version).toBe(0);
    expect(host.logged).toMatchObject([{ level: 'error', fields: { tenant: 'acme', revision: 1 } }]);
  });

  it('believes nothing where it is not known whose signature counts', async () => {
    const { book, set } = world({ signerKey: 'none' });
    await set(signed(policy('large'), -1));
    expect((await book.of('acme')).policies.size).toBe(0);
  });

  describe('as old as it may be', () => {
    it('is not read again, and older it is', async () => {
      const { book, set, held, host } = world();
      expect((await book.of('acme')).policies.size).toBe(0);
      await set(signed(policy('large'), -1));
      await host.advance(POLICY_IN_FORCE_MS);
      expect((await book.of('acme')).policies.size).toBe(0);
      expect(book.recent('acme')?.policies.size).toBe(0);
      expect(held.count).toBe(1);
      await host.advance(1);
      expect(book.recent('acme')).toBeUndefined();
      expect((await book.of('acme')).policies.size).toBe(1);
    });

    it('counts from when it was read, not from when the store has answered', async () => {
      const { book, set, held, reads, host } = world();
      held.isHeld = true;
      const early = book.of('acme');
      await host.settle();
      await set(signed(policy('large'), -1));
      await host.advance(POLICY_IN_FORCE_MS + 1);
      const late = book.of('acme');
      held.isHeld = false;
      reads.splice(0).forEach((answer) => answer());
      expect((await early).policies.size + (await late).policies.size).toBeGreaterThanOrEqual(1);
      expect((await late).policies.size).toBe(1);
    });
  });

  it('as it is now is not what was read before somebody asked, and those who ask at the same time share a read', async () => {
    const { book, set, held, reads, host } = world();
    held.isHeld = true;
    const first = book.newest('acme');
    await host.settle();
    await set(signed(policy('large'), -1));
    await host.advance(1);
    const others = [book.newest('acme'), book.newest('acme')];
    held.isHeld = false;
    reads.splice(0).forEach((answer) => answer());
    await first;
    for (const other of others) expect((await other).policies.size).toBe(1);
    expect(held.count).toBe(2);
  });
});
