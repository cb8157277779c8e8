import { join } from 'node:path';
import { ofType, OTHER_ENTRY, START_MAX_MS, World } from './rig.world';

let world: World;
beforeAll(async () => {
  world = await World.open(2);
}, START_MAX_MS);
afterAll(() => world.close(), START_MAX_MS);

/** More than the silence after which a worker counts as dead, less than what counts as stalled. */
const HELD_UP_MS = 4_500;
/** More than what counts as stalled. */
const STALLED_MS = 23_000;

describe('code that holds up the whole thread of its worker', () => {
  it('for some seconds does not make its worker look dead: the heartbeats have a thread of their own', async () => {
    const runId = await world.start('blocker', { mark: join(world.rig.folder, 'short'), ms: HELD_UP_MS });
    expect((await world.ended(runId)).outcome).toMatchObject({ status: 'completed' });
    const types = (await world.facts(runId)).map(({ type }) => type);
    expect(types).not.toContain('ActivationLost');
    expect(world.book().filter((line) => line.runId === runId)).toHaveLength(1);
  });

  it('for too long loses the run to another worker, and its late result is refused', async () => {
    const runId = await world.start('blocker', { mark: join(world.rig.folder, 'long'), ms: STALLED_MS });
    const assigned = await world.until(runId, ofType('RunAssigned'));
    const lost = await world.until(runId, ofType('ActivationLost'));
    expect(lost.data.reason).toBe('worker-stalled');
    const { outcome } = await world.ended(runId);
    expect(outcome).toMatchObject({ status: 'completed' });
    expect(outcome).not.toMatchObject({ output: assigned.data.workerId });
    // The other one comes to itself, reports under its old epoch, and serves new runs again.
    const perform = await world.perform('adder', { left: 1, right: 2 });
    expect(perform).toEqual({ status: 'completed', output: 'sum 3' });
    expect((await world.facts(runId)).at(-1)?.type).toBe('RunCompleted');
  }, 60_000);
});

describe('workers with different builds', () => {
  it('each get what they host, and what began under one build goes on under it', async () => {
    const before = await world.start('sleeper', { ms: 2_500 });
    await world.until(before, ofType('TimerSet'));
    const newcomer = await world.rig.stack.addWorker(OTHER_ENTRY);
    expect(await world.perform('newcomer', {})).toEqual({ status: 'completed', output: newcomer });
    expect(await world.perform('adder', { left: 2, right: 2 })).toEqual({ status: 'completed', output: 'sum 4' });
    const after = await world.start('sleeper', { ms: 100 });
    for (const runId of [before, after])
      expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: 'rested' });
    const builds = (await world.facts(before)).filter(ofType('RunAssigned')).map(({ data }) => data.buildId);
    expect(new Set(builds).size).toBe(1);
  });
});
