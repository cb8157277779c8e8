import { signingKeyOf } from '@perdure/platform-host-node';
import { tenantRequestSubject } from '@perdure/tenant-contract';
import { SecurityWorld, TENANT } from './approvals.world';
import { RogueWorker } from './rogue-worker.world';

/**
 * Each way around an approval that we know of, tried for real against a running stack: refused, told in the log of the run, and
 * nothing paid. The attacker has the login of a worker at the broker, and what is in the log.
 */
const START_MAX_MS = 90_000;

let world: SecurityWorld;
let rogue: RogueWorker;
beforeAll(async () => {
  world = await SecurityWorld.open();
  rogue = new RogueWorker(world);
  await rogue.start();
}, START_MAX_MS);
afterAll(async () => {
  await rogue.stop();
  await world.close();
}, START_MAX_MS);

async function refusedAs(code: string, runId: string, trying: Promise<unknown>): Promise<void> {
  const answer = await trying.then(
    (value) => (value as { error?: { code: string } } | undefined)?.error?.code ?? 'accepted',
    (error: { code: string }) => error.code,
  );
  expect(answer).toBe(code);
  expect(await world.refusals(runId)).toContain(code);
  expect(await world.factsOf(runId, 'EffectDispatched')).toEqual([]);
  expect(world.paid(runId)).toEqual([]);
}

describe('persons who may not decide', () => {
  let runId: string;
  beforeAll(async () => (runId = await world.waiting()));

  it.each([
    ['who requested the run', 'ada', 'SelfApproval'],
    ['who has another role', 'vera', 'WrongRole'],
    ['who was revoked', 'rob', 'UnknownApprover'],
    ['whom nobody knows', 'eve', 'UnknownApprover'],
  ])('%s', async (_, who, code) => {
    await refusedAs(code, runId, world.decide(runId, who));
  });

  it('who pretends to be another', async () => {
    const trying = world.approvals.decide('approve', { runId, call: 't1.0' }, { approver: 'grace', secret: 'guessed' });
    await refusedAs('NotIdentified', runId, trying);
  });

  it('who counts twice', async () => {
    await world.decide(runId, 'grace');
    await refusedAs('DuplicateVote', runId, world.decide(runId, 'grace'));
    expect(await world.factsOf(runId, 'ApprovalGranted')).toEqual([]);
  });

  it('while those who may are enough, and it is paid once', async () => {
    await world.decide(runId, 'edsger');
    expect((await world.ended(runId)).outcome).toMatchObject({ status: 'completed', output: 'paid {"paid":5000}' });
    expect(world.paid(runId)).toHaveLength(1);
  });
});

describe('votes that are written by hand', () => {
  it('signed by another key', async () => {
    const runId = await world.waiting();
    const other = signingKeyOf(Buffer.alloc(32, 9));
    await refusedAs('BadSignature', runId, world.record(runId, await world.voteFor(runId, {}, other)));
  });

  it('of another run, tenant or effect, for other arguments, under another policy', async () => {
    const first = await world.waiting();
    await world.decide(first, 'grace');
    const [voted] = await world.factsOf(first, 'ApprovalVoted');
    const captured = voted?.data.vote as Awaited<ReturnType<typeof world.voteFor>>;
    const runId = await world.waiting();
    await refusedAs('OtherRun', runId, world.record(runId, captured));
    await refusedAs('OtherRun', runId, world.record(runId, await world.voteFor(runId, { tenant: 'other' })));
    await refusedAs('OtherRequest', runId, world.record(runId, await world.voteFor(runId, { toolVersion: 'old' })));
    await refusedAs('OtherRequest', runId, world.record(runId, await world.voteFor(runId, { quorum: 1 })));
    const args = { to: 'eve', amount: 9_000 };
    await refusedAs('ChangedArguments', runId, world.record(runId, await world.voteFor(runId), { args }));
  });

  it('after their time', async () => {
    const { runId } = await world.http.start({ name: 'tipper', input: { to: 'bob', amount: 1 }, by: 'ada' });
    await world.until(runId, 'ApprovalExpired');
    await refusedAs('ApprovalExpired', runId, world.decide(runId, 'grace', '1'));
    await world.http.control(runId, 'terminate');
  });
});

describe('policies', () => {
  it('are not weakened for what was asked for before', async () => {
    const runId = await world.waiting();
    await world.setPolicy(1);
    await world.decide(runId, 'grace');
    expect(await world.factsOf(runId, 'ApprovalGranted')).toEqual([]);
    await world.setPolicy(2);
    await world.http.control(runId, 'terminate');
  });

  it('are changed by nobody but the signer', async () => {
    const policy = { name: 'large', tools: ['pay'], roles: ['viewer'], quorum: 1 };
    const statement = { v: 1, tenant: TENANT, after: 1, by: 'eve', atMs: 0, change: { type: 'ApprovalPolicySet', policy } };
    const command = { type: 'ChangeApprovals', signed: { statement, signature: 'none' } };
    const envelope = { v: 1, id: world.host.entropy.uuid(), actor: { kind: 'service', id: 'signer' }, command };
    const subject = tenantRequestSubject.build(TENANT as never);
    const answer = await world.bus.request(subject, JSON.stringify(envelope), { timeoutMs: 5_000 });
    expect(JSON.parse(answer)).toMatchObject({ ok: false, error: { code: 'BadSignature' } });
    const trying = world.approvals.setPolicy(policy, { secret: 'guessed', by: 'eve' });
    await expect(trying).rejects.toMatchObject({ code: 'NotIdentified' });
  });
});

describe('a worker that lies', () => {
  const pay = { type: 'effect-intended', call: '1', tool: 'pay', args: { to: 'eve', amount: 9_000 }, argsHash: 'whatever' };
  const of = { call: '1', attempt: 1, executionId: 'x1' };

  it('cannot call a payment pure, claim it without a grant, or say that it has happened', async () => {
    const runId = await rogue.take();
    expect(await rogue.report(runId, pay)).toMatchObject({ ok: true, value: { instructions: [] } });
    expect(await world.factsOf(runId, 'ApprovalRequested')).toHaveLength(1);
    const claimed = await rogue.report(runId, { type: 'effect-claimed', ...of });
    expect(claimed).toMatchObject({ ok: true });
    expect(claimed).not.toMatchObject({ value: { mayBegin: expect.anything() as unknown } });
    const outcome = { ok: true, value: 'paid' };
    await rogue.report(runId, { type: 'effect-result', call: '1', attempt: 1, outcome });
    expect(await world.refusals(runId)).toEqual(['GrantMissing', 'GrantMissing']);
    expect(await world.factsOf(runId, 'EffectConfirmed')).toEqual([]);
    expect(await rogue.report(runId, { ...pay, args: { to: 'eve', amount: 1 } })).toMatchObject({
      error: { code: 'CallConflict' },
    });
  });

  it('cannot claim what was granted under another grant', async () => {
    const runId = await rogue.take();
    await rogue.report(runId, pay);
    await world.decide(runId, 'grace', '1');
    await world.decide(runId, 'edsger', '1');
    await rogue.report(runId, { type: 'effect-claimed', ...of, grantId: 'of another' });
    await rogue.report(runId, { type: 'effect-claimed', ...of });
    expect(await world.refusals(runId)).toEqual(['GrantMismatch', 'GrantMismatch']);
    expect(await world.factsOf(runId, 'EffectDispatched')).toEqual([]);
  });
});

describe('death between the grant and the claim', () => {
  it.each(['worker-1', 'services', 'signer', 'store', 'nats'])('of %s: it is paid once', async (name) => {
    const runId = await world.waiting();
    await world.decide(runId, 'grace');
    await world.decide(runId, 'edsger');
    world.rig.stack.kill(name);
    const view = await ended(runId);
    expect(view.outcome).toMatchObject({ status: 'completed', output: 'paid {"paid":5000}' });
    expect(world.paid(runId).length).toBeGreaterThanOrEqual(1);
    expect(new Set(world.paid(runId).map(({ key }) => key)).size).toBe(1);
    expect((await world.factsOf(runId, 'EffectConfirmed')).length).toBe(1);
  });

  /** The gateway may have to wait for what was killed. */
  async function ended(runId: string): ReturnType<typeof world.ended> {
    for (;;) {
      const view = await world.ended(runId).catch((error: { reaction?: string }) => {
        if (error.reaction !== 'retryable') throw error;
        return undefined;
      });
      if (view?.status === 'ended') return view;
    }
  }
});
