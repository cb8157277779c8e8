import type { Fact } from '@perdure/cli';
import { ofType, OTHER_ENTRY, START_MAX_MS, World } from './rig.world';

let world: World;
let first: string;
let other: string;
beforeAll(async () => {
  world = await World.open(1);
  first = await buildOf(await finished('sleeper', { ms: 1 }));
  await world.rig.stack.addWorker(OTHER_ENTRY);
  other = await buildOf(await finished('newcomer', {}));
}, START_MAX_MS);
afterAll(() => world.close(), START_MAX_MS);

const SLEEP_MS = 1_500;

async function finished(name: string, input: unknown): Promise<string> {
  const runId = await world.start(name, input);
  await world.ended(runId);
  return runId;
}

async function buildOf(runId: string): Promise<string> {
  return buildsIn(await world.facts(runId))[0] ?? '';
}

function buildsIn(facts: readonly Fact[]): readonly string[] {
  return facts.filter(ofType('RunAssigned')).map(({ data }) => String(data.buildId));
}

/** Asleep, and begun under the first build. */
async function sleepingUnderFirst(): Promise<string> {
  for (;;) {
    const runId = await world.start('sleeper', { ms: SLEEP_MS });
    await world.until(runId, ofType('TimerSet'));
    if ((await buildOf(runId)) === first) return runId;
  }
}

describe('a workflow whose build has no worker any more', () => {
  it('waits for one, says so and blocks nobody, and goes on when the build is back', async () => {
    const runId = await sleepingUnderFirst();
    const { stack } = world.rig;
    stack.kill('worker-1', { restart: false });
    await world.until(runId, ofType('TimerFired'));
    // Whether it was let go before its worker died or not.
    const why = await untilWhy(runId, 'none is connected');
    expect(why).toContain(`a worker of build ${first} in pool default; none is connected`);
    await untilStranded(first);
    expect(buildsIn(await world.facts(await finished('sleeper', { ms: 1 })))).toEqual([other]);
    stack.child('worker-1').revive();
    expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: 'rested' });
    expect(new Set(buildsIn(await world.facts(runId)))).toEqual(new Set([first]));
  }, 60_000);

  async function untilStranded(build: string): Promise<void> {
    for (;;) {
      const { builds } = await world.http.builds();
      if (builds.some(({ buildId, standing, runs }) => buildId === build && standing === 'stranded' && runs > 0)) return;
    }
  }

  async function untilWhy(runId: string, words: string): Promise<string> {
    for (;;) {
      const said = (await world.http.why(runId)).waitingOn.map(({ detail }) => detail ?? '').join('\n');
      if (said.includes(words)) return said;
    }
  }
});

describe('a workflow that somebody pins to another build', () => {
  it('diverges under code that differs, is paused and not lost, and ends under its first build after all', async () => {
    const runId = await sleepingUnderFirst();
    await world.http.repin(runId, other, 'let us see');
    const diverged = await world.until(runId, ofType('CodeDiverged'));
    expect(diverged.data).toMatchObject({ buildId: other });
    await world.http.repin(runId, first, 'it differs');
    await world.http.control(runId, 'resume');
    expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: 'rested' });
    expect(buildsIn(await world.facts(runId))).toEqual([first, other, first]);
  }, 60_000);

  it('wants a build that is registered', async () => {
    const runId = await sleepingUnderFirst();
    await expect(world.http.repin(runId, 'b-unknown')).rejects.toMatchObject({ code: 'UnknownBuild' });
    await world.ended(runId);
  }, 60_000);
});

describe('a fork that is asked for with a build', () => {
  it('is run by that build alone, and wants one that is registered', async () => {
    const runId = await finished('sleeper', { ms: 1 });
    for (const buildId of [first, other]) {
      const forked = await world.http.fork(runId, { at: 0, buildId, idempotencyKey: `for ${buildId}` });
      expect((await world.ended(forked.runId)).outcome).toEqual({ status: 'completed', output: 'rested' });
      expect(buildsIn(await world.facts(forked.runId))).toEqual([buildId]);
    }
    const unknown = world.http.fork(runId, { buildId: 'b-unknown', idempotencyKey: 'for none' });
    await expect(unknown).rejects.toMatchObject({ code: 'UnknownBuild' });
  }, 60_000);
});
