import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT, type Fact } from '@perdure/cli';
import { openRig } from '../rig/fresh-stack';
import { ofType, START_MAX_MS, World } from './rig.world';

/** Runs that start runs: asked for once, brought their end, and cancelled when nobody wants them. */
const ENTRY = join(ROOT, 'dist/test/e2e/entries/children.js');

const LOOK_EVERY_MS = 20;

let world: World;
beforeAll(async () => {
  world = new World(await openRig(() => ({ form: 'dev', entry: ENTRY, workers: 2 })));
}, START_MAX_MS);
afterAll(() => world.close(), START_MAX_MS);

const newMark = (name: string): string => join(world.rig.folder, name);
const mark = (path: string): void => writeFileSync(path, '');
const requested = ofType('ChildRequested');
const childOf = (fact: Fact): string => String(fact.data.child);

async function children(runId: string, wanted: number): Promise<string[]> {
  const found: string[] = [];
  await world.until(runId, (fact) => requested(fact) && found.push(childOf(fact)) === wanted);
  return found;
}

/** It was asked for, and may not exist yet. */
async function isActive(runId: string): Promise<void> {
  for (;;) {
    const view = await world.http.get(runId).catch(() => undefined);
    if (view?.status === 'active') return;
    await pause(LOOK_EVERY_MS);
  }
}

it('gives the code what its children give, and their typed failures', async () => {
  expect(await world.perform('mixed', {})).toEqual({
    status: 'completed',
    output: { sum: 'sum 42', named: 7, failures: ['NegativeNumber', 'InvalidInput', 'UnknownAgent'] },
  });
});

it('starts hundreds of children, each once, a bounded number at a time', async () => {
  const runId = await world.start('family', { children: 250 });
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: (249 * 250) / 2 });
  const facts = await world.facts(runId);
  expect(new Set(facts.filter(requested).map(childOf)).size).toBe(250);
  expect(facts.filter(ofType('ChildEnded'))).toHaveLength(250);
});

it.each(['services', 'nats', 'store', 'worker-1'])('loses and repeats none when %s is killed', async (name) => {
  const until = newMark(`killed-${name}`);
  const runId = await world.start('family', { children: 5, until });
  const begun = await children(runId, 5);
  await isActive(begun[4] ?? '');
  const child = world.rig.stack.child(name);
  await child.replaced(world.rig.stack.kill(name));
  mark(until);
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: 10 });
  expect((await world.facts(runId)).filter(ofType('ChildEnded'))).toHaveLength(5);
  for (const each of begun) expect((await world.http.get(each)).parent).toEqual({ runId, call: expect.any(String) });
});

it.each(['services', 'worker-1'])('is asked for by a model, and answers it, also when %s is killed', async (name) => {
  const until = newMark(`boss-${name}`);
  const runId = await world.start('boss', { until });
  const begun = await children(runId, 3);
  await isActive(begun[1] ?? '');
  await world.rig.stack.child(name).replaced(world.rig.stack.kill(name));
  mark(until);
  const output = '"sum 42", 7, NegativeNumber';
  expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output });
  expect((await world.facts(runId)).filter(ofType('ModelCallCompleted'))).toHaveLength(2);
});

it('is cancelled with its children, which it waits for', async () => {
  const runId = await world.start('family', { children: 3, until: newMark('never') });
  const begun = await children(runId, 3);
  await isActive(begun[2] ?? '');
  await world.http.control(runId, 'cancel', 'enough');
  expect((await world.ended(runId)).outcome).toMatchObject({ status: 'cancelled' });
  for (const child of begun) expect((await world.ended(child)).outcome).toMatchObject({ status: 'cancelled' });
});

it.each([
  ['cancel', 'cancelled'],
  ['request', 'cancelled'],
  ['abandon', 'completed'],
] as const)('that ends before a child whose policy is %s leaves it %s', async (parentClose, status) => {
  const until = newMark(`close-${parentClose}`);
  const runId = await world.start('hasty', { until, parentClose, waits: false });
  const { outcome } = await world.ended(runId);
  const child = (outcome as { readonly output: { readonly runId: string } }).output.runId;
  // A cancelled child needs no mark.
  if (parentClose === 'abandon') mark(until);
  expect((await world.ended(child)).outcome).toMatchObject({ status });
});

it('names the child that it waits for', async () => {
  const until = newMark('why');
  const runId = await world.start('family', { children: 1, until });
  const [child = ''] = await children(runId, 1);
  // The log may tell it before the owner has heard that it is there.
  let view = await world.http.get(runId);
  while (view.status !== 'suspended') {
    await pause(LOOK_EVERY_MS);
    view = await world.http.get(runId);
  }
  expect(view.waitingOn).toMatchObject([{ promise: 'child', keeper: 'orchestrator', detail: `helper, the run ${child}` }]);
  mark(until);
  await world.ended(runId);
});
