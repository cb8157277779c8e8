import { canonicalJson, signedText } from '@perdure/kernel';
import { ed25519, signingKeyOf } from '@perdure/platform-host-node';
import { attested, ballotOf, type Grant, type Vote, type VoteStatement } from '@perdure/run-contract';
import { z } from 'zod';
import { manifestOf, offerOf } from '../manifest';
import { VirtualHost } from '../spec-kit/virtual-host';
import { tool } from '../tool';
import type { Tool } from './definitions';
import { refusedGrant, type GrantedUse, type GrantKnown } from './grant-check';

const host = new VirtualHost();
const signer = signingKeyOf(Buffer.alloc(32, 1));
const other = signingKeyOf(Buffer.alloc(32, 2));
const own = signingKeyOf(Buffer.alloc(32, 3));
const hash = (value: unknown): string => host.digest.sha256(canonicalJson(value));

const pay = tool({ name: 'pay', description: 'pays', input: z.object({ amount: z.number() }), execute: () => 'paid' });
const guarded = tool({ name: 'wire', description: 'pays', input: z.object({}), approval: 'required', execute: () => 'paid' });
const manifest = manifestOf(
  offerOf({ pool: 'default', behaviours: [], tools: [pay, guarded] as unknown as Tool[] }),
  host.digest,
  {
    build: 'build-1',
  },
);
const known: GrantKnown = { signatures: ed25519, signerKey: signer.publicKey, manifest, tenant: 'acme' };
const args = { amount: 5 };

function voteOf(approver: string, data: Partial<VoteStatement> = {}, by = signer): Vote {
  const statement: VoteStatement = {
    v: 1,
    id: `of-${approver}`,
    tenant: 'acme',
    runId: 'run1',
    branch: 0,
    call: '1',
    tool: 'pay',
    toolVersion: hash(manifest.tools[0]),
    argsHash: hash(args),
    shownHash: 'shown',
    policy: 'large',
    policyVersion: 4,
    approver,
    role: 'finance',
    quorum: 2,
    decision: 'approve',
    votedAtMs: 0,
    expiresAtMs: host.clock.nowMs() + 60_000,
    ...data,
  };
  return { statement, signature: by.sign(signedText('vote', attested({ statement }))) };
}

function use(votes: readonly Vote[] | undefined, more: Partial<GrantedUse> = {}): GrantedUse {
  const grant: Grant | undefined = votes === undefined ? undefined : { grantId: 'g', votes: [...votes] };
  return { runId: 'run1', branch: 0, call: '1', tool: pay as unknown as Tool, args, grant, ...more };
}

const why = (given: GrantedUse, by: GrantKnown = known): string | undefined => refusedGrant(host, by, given)?.message;

describe('a worker that is given a grant', () => {
  const both = [voteOf('grace'), voteOf('edsger')];

  it('believes what enough persons have agreed on under the key of the signer', () => {
    expect(why(use(both))).toBeUndefined();
  });

  it('needs none for a tool that asks for none', () => {
    expect(why(use(undefined))).toBeUndefined();
  });

  it('does not run a tool that asks for approval without one, whatever the owner says', () => {
    expect(why(use(undefined, { tool: guarded as unknown as Tool }))).toContain('asks for an approval');
  });

  it('runs nothing under a grant when it does not know the key of the signer', () => {
    expect(why(use(both), { ...known, signerKey: undefined })).toContain('PERDURE_SIGNER_KEY');
  });

  it.each<readonly [string, readonly Vote[], Partial<GrantedUse>]>([
    ['of another run', both, { runId: 'run2' }],
    ['of another call', both, { call: '2' }],
    ['for other arguments', both, { args: { amount: 50 } }],
    ['of another tool', both, { tool: guarded as unknown as Tool }],
    ['of another tenant', [voteOf('grace', { tenant: 'other' }), voteOf('edsger')], {}],
    ['of another version of the tool', [voteOf('grace', { toolVersion: 'old' }), voteOf('edsger')], {}],
    ['that has expired', [voteOf('grace', { expiresAtMs: host.clock.nowMs() }), voteOf('edsger')], {}],
    ['of too few', [voteOf('grace')], {}],
    ['of one person who counts twice', [voteOf('grace'), voteOf('grace', { id: 'again' })], {}],
    ['of somebody who denies', [voteOf('grace', { decision: 'deny' }), voteOf('edsger')], {}],
    ['with votes under different policies', [voteOf('grace', { policyVersion: 3 }), voteOf('edsger')], {}],
    ['with a vote that needs fewer', [voteOf('grace', { quorum: 1 }), voteOf('edsger')], {}],
    ['signed by another key', [voteOf('grace', {}, other), voteOf('edsger')], {}],
    [
      'whose statement was changed after it was signed',
      [{ ...both[0]!, statement: { ...both[0]!.statement, approver: 'eve' } }, both[1]!],
      {},
    ],
    ['without votes', [], {}],
  ])('does not believe a grant %s', (_, votes, more) => {
    expect(refusedGrant(host, known, use(votes, more))).toMatchObject({ code: 'GrantRefused', reaction: 'terminal' });
  });

  it('looks at the signature of an approver with a key of its own, too', () => {
    const { statement } = voteOf('grace', { quorum: 1 });
    const signed = (signature: string): Vote => {
      const ballot = { publicKey: own.publicKey, signature };
      return { statement, ballot, signature: signer.sign(signedText('vote', attested({ statement, ballot }))) };
    };
    const text = signedText('ballot', ballotOf(statement));
    expect(why(use([signed(own.sign(text))]))).toBeUndefined();
    expect(why(use([signed(other.sign(text))]))).toContain('grace has not signed');
  });
});
