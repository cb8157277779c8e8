import { join } from 'node:path';
import { ROOT, type Fact } from '@perdure/cli';
import { openRig } from '../rig/fresh-stack';
import { ofType, START_MAX_MS, World } from './rig.world';

/** What a long tool has said is in the log: whoever goes on after kill -9 is given it. */
const ENTRY = join(ROOT, 'dist/test/e2e/entries/heartbeats.js');

let world: World;
beforeAll(async () => {
  world = new World(await openRig(() => ({ form: 'dev', entry: ENTRY, workers: 0 })));
  await Promise.all(['default', 'default', 'presses', 'presses'].map((pool) => world.rig.stack.addWorker(ENTRY, pool)));
}, START_MAX_MS);
afterAll(() => world.close(), START_MAX_MS);

interface Said {
  readonly page: number;
  readonly pid: number;
}

function executorOf(facts: readonly Fact[], name: string): string {
  const { data } = facts.findLast(ofType(name === 'printing' ? 'EffectDispatched' : 'RunAssigned')) as Fact;
  return String((name === 'printing' ? (data.executor as { readonly workerId: string }) : data).workerId);
}

it.each([
  ['a workflow', 'copying'],
  ['an agent', 'scribe'],
  ['a pool of its own', 'printing'],
])('a tool of %s goes on from its last heartbeat after kill -9 of its worker', async (_, name) => {
  const runId = await world.start(name, {});
  const { data } = await world.until(runId, ofType('EffectProgressed'));
  const said = data.detail as Said;
  const { waitingOn } = await world.http.get(runId);
  expect(waitingOn.map(({ detail }) => detail).join()).toContain(`attempt 1 said: ${JSON.stringify(said)}`);
  const workerId = executorOf(await world.facts(runId), name);
  expect(world.rig.stack.kill(workerId)).toBe(said.pid);
  const outcome = (await world.ended(runId)).outcome;
  const output = outcome?.status === 'completed' ? outcome.output : outcome;
  const { from, pid } = (typeof output === 'string' ? JSON.parse(output) : output) as { from: Said; pid: number };
  expect(from).toEqual(said);
  expect(pid).not.toBe(said.pid);
  expect((await world.facts(runId)).filter(ofType('EffectProgressed'))).toHaveLength(1);
});
