import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApprovalsClient, ROOT, signerDirOf } from '@perdure/cli';
import { approverKey, Client, type Approval, type Identified } from '@perdure/sdk';
import { openRig } from '../rig/fresh-stack';
import { ofType, START_MAX_MS, World } from './rig.world';

/** Persons decide through the SDK, over the bus, on an effect that workers of a pool of their own execute. */
const ENTRY = join(ROOT, 'dist/test/e2e/entries/approvals.js');
const AGENT_WORKER = 'worker-1';
const key = approverKey(randomBytes(32).toString('base64'));
const EDSGER: Identified = { approver: 'edsger', key };
const INPUT = { to: 'bob', amount: 5_000 };

let world: World;
let client: Client;
let grace: Identified;
beforeAll(async () => {
  const rig = await openRig((folder) => ({
    form: 'dev',
    entry: ENTRY,
    workers: 0,
    workerEnv: { PERDURE_E2E_BOOK: join(folder, 'book.jsonl') },
  }));
  world = new World(rig);
  await Promise.all(['default', 'treasury'].map((pool) => rig.stack.addWorker(ENTRY, pool)));
  const { natsUrl: url, brokerUsers } = rig.stack;
  client = await Client.connect({ url, ...brokerUsers.worker });
  grace = { approver: 'grace', secret: await enrollAll() };
}, START_MAX_MS);
afterAll(async () => {
  await client.close();
  await world.close();
}, START_MAX_MS);

async function enrollAll(): Promise<string> {
  const secret = readFileSync(join(signerDirOf(world.rig.stack.dataDir), 'administrator.secret'), 'utf8');
  const who = { secret, by: 'root' };
  const admin = new ApprovalsClient(world.http);
  await admin.setPolicy({ name: 'money', tools: ['wire'], roles: ['finance'], quorum: 2 }, who);
  await admin.enroll({ id: 'edsger', roles: ['finance'], publicKey: key.publicKey }, who);
  return (await admin.enroll({ id: 'grace', roles: ['finance'] }, who)).secret ?? '';
}

async function waiting(name: string): Promise<{ readonly runId: string; readonly approval: Approval }> {
  const runId = await world.start(name, INPUT);
  await world.until(runId, ofType('RunSuspended'));
  for (;;) {
    const line = (await client.approvals.list({ role: 'finance' })).find((candidate) => candidate.runId === runId);
    if (line !== undefined) return { runId, approval: await client.approvals.get(runId, line.call) };
  }
}

const executions = (runId: string): readonly string[] =>
  world.book().flatMap((line) => (line.runId === runId ? [line.what] : []));

it('is executed by its pool when enough agree, and the run goes on though its worker is killed before', async () => {
  const { runId, approval } = await waiting('treasurer');
  expect(approval).toMatchObject({ tool: 'wire', args: INPUT, quorum: 2, agreed: [], status: 'open' });
  await client.approvals.approve(approval, grace);
  expect((await world.facts(runId)).filter(ofType('EffectDispatched'))).toEqual([]);
  const killed = world.rig.stack.kill(AGENT_WORKER);
  await client.approvals.approve(approval, EDSGER);
  await world.rig.stack.child(AGENT_WORKER).replaced(killed);
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: '{"sent":5000}, mine' });
  const [dispatched] = (await world.facts(runId)).filter(ofType('EffectDispatched'));
  expect(dispatched?.data).toMatchObject({ executor: { pool: 'treasury' }, grantId: expect.any(String) as unknown });
  expect(executions(runId)).toEqual([JSON.stringify(INPUT)]);
});

it('is executed with the arguments of the persons, and the model is told whose they are', async () => {
  const { runId, approval } = await waiting('treasurer');
  const args = { to: 'bob', amount: 3 };
  await client.approvals.approve(approval, { ...EDSGER, args });
  await client.approvals.approve(approval, { ...grace, args });
  const output = `{"sent":3}, ${JSON.stringify(args)} by edsger, grace`;
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output });
  expect(executions(runId)).toEqual([JSON.stringify(args)]);
});

it('gives the code of a workflow its result, whoever has changed its arguments', async () => {
  const { runId, approval } = await waiting('payroll');
  const args = { to: 'bob', amount: 4 };
  await client.approvals.approve(approval, { ...grace, args });
  await client.approvals.approve(approval, { ...EDSGER, args });
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: { sent: 4 } });
});

it('is not executed when one denies, and the agent is told the reason', async () => {
  const { runId, approval } = await waiting('treasurer');
  await client.approvals.deny(approval, { ...EDSGER, reason: 'bob has left' });
  const output = 'edsger did not approve of wire: bob has left';
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output });
  expect(executions(runId)).toEqual([]);
  expect(await client.approvals.get(runId, approval.call)).toMatchObject({ status: 'denied' });
});

describe('a decision that is not what it seems', () => {
  let approval: Approval;
  beforeAll(async () => ({ approval } = await waiting('treasurer')));

  it.each([
    ['NotIdentified', {}, { approver: 'grace', secret: 'guessed' }],
    ['NotIdentified', {}, { approver: 'edsger', key: approverKey(Buffer.alloc(32, 1).toString('base64')) }],
    ['UnknownApprover', {}, { approver: 'eve', secret: 'any' }],
    // What somebody on the way has shown instead.
    ['OtherRequest', { args: { to: 'bob', amount: 1 } }, EDSGER],
    ['NoSuchApproval', { call: 't9.0' }, EDSGER],
  ])('is refused as %s', async (code, shown, who) => {
    const trying = client.approvals.approve({ ...approval, ...shown }, who);
    await expect(trying).rejects.toMatchObject({ code, reaction: 'terminal' });
  });

  it('is refused with arguments that do not fit the tool', async () => {
    const trying = client.approvals.approve(approval, { ...EDSGER, args: { to: 'bob' } });
    await expect(trying).rejects.toMatchObject({ code: 'InvalidInput' });
  });
});
