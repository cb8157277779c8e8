import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '@perdure/cli';
import { connectBus, type BusConnection } from '@perdure/platform-bus-jetstream';
import { systemHost } from '@perdure/platform-host-node';
import { requestSubject, runAddress, type RunCommandOf } from '@perdure/run-contract';
import { openRig } from '../rig/fresh-stack';
import { ofType, START_MAX_MS, World } from './rig.world';

/** An effect that workers of a pool of their own execute: what dies does not take it along, and nobody else may touch it. */
const ENTRY = join(ROOT, 'dist/test/e2e/entries/pools.js');
const AGENT_WORKER = 'worker-1';
const TIMEOUT_MS = 5_000;
const host = systemHost({ service: 'e2e', write: () => undefined });

let world: World;
let connection: BusConnection;
beforeAll(async () => {
  const rig = await openRig((folder) => ({
    form: 'dev',
    entry: ENTRY,
    workers: 0,
    workerEnv: { PERDURE_E2E_BOOK: join(folder, 'book.jsonl') },
  }));
  world = new World(rig);
  await Promise.all(['default', 'stores', 'stores'].map((pool) => rig.stack.addWorker(ENTRY, pool)));
  // As every worker may.
  const { natsUrl, brokerUsers } = rig.stack;
  connection = await connectBus({ url: natsUrl, name: 'intruder', ...brokerUsers.worker, host, use: 'core' });
}, START_MAX_MS);
afterAll(async () => {
  await connection.close();
  await world.close();
}, START_MAX_MS);

const newMark = (name: string): string => join(world.rig.folder, name);
const mark = (path: string): void => writeFileSync(path, '');

async function underWay(name: string, says = {}) {
  const until = newMark(name);
  const runId = await world.start('purchase', { until, ...says });
  const { data } = await world.until(runId, ofType('EffectDispatched'));
  const executor = data.executor as { readonly workerId: string; readonly sessionId: string };
  return { runId, until, executionId: String(data.executionId), executor };
}

it('goes on while whoever holds the run is killed, and reaches the run', async () => {
  const { runId, until } = await underWay('first');
  const killed = world.rig.stack.kill(AGENT_WORKER);
  await world.rig.stack.child(AGENT_WORKER).replaced(killed);
  mark(until);
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: { shipped: true } });
  expect((await world.facts(runId)).filter(ofType('EffectDispatched'))).toHaveLength(1);
  expect(world.book().filter((line) => line.runId === runId)).toHaveLength(1);
});

it('brings results to a run that are more than a message holds', async () => {
  const until = newMark('scanned');
  const archive = { documents: 12, chars: 900_000 };
  const runId = await world.start('archive', { ...archive, until });
  let dispatched = 0;
  await world.until(runId, ({ type }) => type === 'EffectDispatched' && (dispatched += 1) === archive.documents);
  world.rig.stack.kill(AGENT_WORKER, { restart: false });
  mark(until);
  let confirmed = 0;
  await world.until(runId, ({ type }) => type === 'EffectConfirmed' && (confirmed += 1) === archive.documents);
  world.rig.stack.child(AGENT_WORKER).revive();
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: archive.documents * archive.chars });
});

it('is executed again under its key when its own worker is killed', async () => {
  const { runId, until, executor } = await underWay('second');
  world.rig.stack.kill(executor.workerId);
  await world.until(runId, ofType('EffectLost'));
  mark(until);
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: { shipped: true } });
  const executions = world.book().filter((line) => line.runId === runId);
  expect(new Set(executions.map(({ what }) => what))).toEqual(new Set([`default/${runId}/0/1`]));
});

it('is executed again with what was said of it before', async () => {
  const { runId, until, executor } = await underWay('said', { says: true });
  const { data } = await world.until(runId, ofType('EffectProgressed'));
  const { waitingOn } = await world.http.get(runId);
  expect(waitingOn.some(({ detail }) => detail?.endsWith(`attempt 1 said: ${JSON.stringify(data.detail)}`))).toBe(true);
  world.rig.stack.kill(executor.workerId);
  await world.until(runId, ofType('EffectLost'));
  mark(until);
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: { shipped: true, before: data.detail } });
});

it('says who executes it while it waits', async () => {
  const { runId, until, executor } = await underWay('third');
  const { waitingOn } = await world.http.get(runId);
  const promise = waitingOn.find(({ promise: kind }) => kind === 'effect');
  expect(promise).toMatchObject({ keeper: 'orchestrator', detail: `ship at ${executor.workerId} of pool stores` });
  mark(until);
  await world.ended(runId);
});

describe('a worker of another pool that speaks the protocol by hand', () => {
  type Forged = Omit<RunCommandOf<'ClaimEffect'>, 'argsHash'> | RunCommandOf<'ReportEffect'> | RunCommandOf<'RecordProgress'>;

  async function refusedAs(runId: string, command: Forged): Promise<string | undefined> {
    const argsHash = host.digest.sha256('whatever');
    const envelope = {
      v: 1,
      id: host.entropy.uuid(),
      actor: { kind: 'worker', id: AGENT_WORKER },
      command: { argsHash, ...command },
    };
    const subject = requestSubject.build(runAddress('default', runId));
    const reply = await connection.bus.request(subject, JSON.stringify(envelope), { timeoutMs: TIMEOUT_MS });
    return (JSON.parse(reply) as { readonly error?: { readonly code: string } }).error?.code;
  }

  it('can neither claim nor report nor resolve its effects, under no session that it knows', async () => {
    const { runId, until, executionId, executor } = await underWay('fourth');
    const assigned = (await world.facts(runId)).find(ofType('RunAssigned'))?.data;
    const own = { workerId: AGENT_WORKER, sessionId: String(assigned?.sessionId) };
    const before = await world.facts(runId);
    const entry = { type: 'effect-result' as const, call: '1', attempt: 1, outcome: { ok: true as const, value: 'forged' } };
    const of = { call: '1', attempt: 1, executionId };
    for (const session of [own, executor, { workerId: 'nobody', sessionId: 'nobody' }]) {
      const shown = { ...session, ticket: 'guessed' };
      const claim = { type: 'ClaimEffect' as const, ...of, ...shown, executionId: 'mine' };
      expect(['NotTheExecutor', 'ArgumentsChanged', 'EffectAlreadyClaimed']).toContain(await refusedAs(runId, claim));
      expect(await refusedAs(runId, { type: 'ReportEffect', ...of, ...shown, entry })).toBe('NotTheExecutor');
    }
    const seq = 2;
    const progress = { type: 'RecordProgress' as const, epoch: Number(assigned?.epoch), seq, entries: [entry] };
    expect(['NotTheExecutor', 'StaleEpoch']).toContain(await refusedAs(runId, progress));
    const unchanged = (await world.facts(runId)).filter(({ type }) => type !== 'RunSuspended');
    expect(unchanged).toEqual(before.filter(({ type }) => type !== 'RunSuspended'));
    mark(until);
    expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: { shipped: true } });
  });
});
