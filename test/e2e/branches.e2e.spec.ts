import { join } from 'node:path';
import { ROOT } from '@perdure/cli';
import { openRig } from '../rig/fresh-stack';
import { ofType, START_MAX_MS, World } from './rig.world';

const ENTRY = join(ROOT, 'dist/test/e2e/entries/branches.js');

let world: World;
beforeAll(async () => {
  const workerEnv = (folder: string) => ({ PERDURE_E2E_BOOK: join(folder, 'book.jsonl') });
  world = new World(await openRig((folder) => ({ form: 'dev', entry: ENTRY, workers: 1, workerEnv: workerEnv(folder) })));
}, START_MAX_MS);
afterAll(() => world.close(), START_MAX_MS);

describe('a run that goes back to before something that it has done', () => {
  it('says that it can be undone, does it again under another key, and undoes both if it fails', async () => {
    const runId = await world.start('booking', {});
    const assigned = await world.until(runId, ofType('RunAssigned'));
    await world.until(runId, ofType('SignalAwaited'));
    const to = assigned.revision;
    const looked = await world.http.rewind(runId, { to, dryRun: true });
    expect(looked.effects).toMatchObject([{ tool: 'reserve', branch: 0, status: 'confirmed', isUndoable: true }]);
    await world.http.rewind(runId, { to, dryRun: false });
    const rewound = await world.until(runId, ofType('RunRewound'));
    await world.until(runId, (fact) => fact.type === 'SignalAwaited' && fact.revision > rewound.revision);
    await world.http.signal(runId, { name: 'wanted', payload: false });
    const { outcome, effects } = await world.ended(runId);
    expect(outcome).toMatchObject({ status: 'failed', error: { code: 'NotWanted' } });
    const undone = effects?.undone.map(({ call }) => call) ?? [];
    expect(undone).toEqual([expect.stringMatching(/^b1-/), expect.not.stringMatching(/^b1-/)]);
    const [first, again, ...released] = world.book().map(({ what }) => what.split(' ')[1]);
    expect(first).not.toBe(again);
    expect(new Set(released).size).toBe(2);
  }, 60_000);
});

describe('a fork', () => {
  it('asks another of the models that the agent is declared with, and no other', async () => {
    const runId = await world.start('speaker', {});
    expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: 'the first' });
    const forked = await world.http.fork(runId, { model: 'second-model', idempotencyKey: 'to the second' });
    expect((await world.ended(forked.runId)).outcome).toEqual({ status: 'completed', output: 'the second' });
    const other = world.http.fork(runId, { model: 'third-model', idempotencyKey: 'to the third' });
    await expect(other).rejects.toMatchObject({ code: 'ModelNotOffered' });
  }, 60_000);
});

describe('a run that continues with another input', () => {
  it('is the same run, whose journal stays short, also when its worker is killed', async () => {
    const runId = await world.start('counter', { number: 0, last: 6 });
    await world.until(runId, ofType('RunContinued'));
    await world.rig.stack.child('worker-1').replaced(world.rig.stack.kill('worker-1'));
    expect((await world.ended(runId)).outcome).toEqual({
      status: 'completed',
      output: { number: 6, told: { timedOut: true } },
    });
    const continued = (await world.facts(runId)).filter(ofType('RunContinued'));
    expect(continued.map(({ data }) => data.branch)).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await world.http.state(runId, {})).journal.length).toBeLessThan(10);
  });
});
