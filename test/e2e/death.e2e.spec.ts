import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { BookLine } from '../rig/book';
import { recordedAt, readRuns } from '../rig/log';
import { ofType, START_MAX_MS, World } from './rig.world';

let world: World;
beforeAll(async () => {
  world = await World.open(2);
}, START_MAX_MS);
afterAll(() => world.close(), START_MAX_MS);

/** What issue and design promise; measured values are far below on an idle machine. */
const WORKER_LOST_MAX_MS = 5_000;
const RESTART_MAX_MS = 2_000;
const PATIENT = { steps: 12, stepMs: 150 };
const DONE = { status: 'completed', output: { sum: 66 } };
const MIDDLE = 4;
const LOOK_EVERY_MS = 20;

/** A run in the middle of its steps. */
async function underWay(): Promise<string> {
  const runId = await world.start('patient', PATIENT);
  let recorded = 0;
  await world.until(runId, ({ type }) => type === 'StepsRecorded' && (recorded += 1) >= MIDDLE);
  return runId;
}

/** Nothing was executed again after its result was in the log: the log is read by the official client. */
async function expectNothingTwice(runId: string): Promise<void> {
  const recorded = recordedAt((await readRuns(world.rig.stack.storeUrl)).get(runId) ?? []);
  expect(recorded.size).toBe(PATIENT.steps);
  const late = world.book().filter((line) => line.runId === runId && line.atMs > (recorded.get(line.what) ?? 0));
  expect(late).toEqual([]);
}

describe('a run survives', () => {
  it('kill -9 of its worker: another goes on where it was', async () => {
    const runId = await underWay();
    const { workerId = '' } = await world.http.get(runId);
    const killedAtMs = Date.now();
    world.rig.stack.kill(workerId, { restart: false });
    expect((await world.ended(runId)).outcome).toEqual(DONE);
    const assigned = (await world.facts(runId)).filter(ofType('RunAssigned'));
    expect(assigned).toHaveLength(2);
    expect(assigned[1]?.data.workerId).not.toBe(workerId);
    expect((assigned[1]?.atMs ?? Infinity) - killedAtMs).toBeLessThan(WORKER_LOST_MAX_MS);
    await expectNothingTwice(runId);
    world.rig.stack.child(workerId).revive();
    await world.rig.stack.child(workerId).replaced(0);
  });

  it('kill -9 of its worker, and of its owner, with more behind it than a message holds', async () => {
    // Three bytes to a character.
    const hoard = { documents: 1_100, chars: 4_000, lastMs: 700 };
    const runId = await world.start('hoarder', hoard);
    const isLast = async (times: number): Promise<void> => {
      for (;;) {
        if (world.book().filter((line) => line.runId === runId).length === times) return;
        await pause(LOOK_EVERY_MS);
      }
    };
    await isLast(1);
    const { workerId = '' } = await world.http.get(runId);
    world.rig.stack.kill(workerId);
    await isLast(2);
    await world.rig.stack.child('services').replaced(world.rig.stack.kill('services'));
    expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: { length: 1_100 * 4_000 } });
    expect((await world.facts(runId)).filter(ofType('RunQuarantined'))).toEqual([]);
  });

  it.each(['services', 'nats', 'store'])('kill -9 of %s', async (name) => {
    const runId = await underWay();
    const child = world.rig.stack.child(name);
    const pid = world.rig.stack.kill(name);
    await child.replaced(pid);
    const upAtMs = Date.now();
    expect((await world.ended(runId)).outcome).toEqual(DONE);
    const next = (await world.facts(runId)).find(({ atMs, type }) => type === 'StepsRecorded' && atMs >= upAtMs);
    // Nothing to wait for when the worker had gone on before we looked.
    expect((next?.atMs ?? upAtMs) - upAtMs).toBeLessThan(RESTART_MAX_MS + PATIENT.stepMs);
    await expectNothingTwice(runId);
  });

  it('kill -9 of a worker that polls: another goes on looking, and only what changed is recorded', async () => {
    const file = join(world.rig.folder, 'watched');
    const runId = await world.start('watcher', { file, everyMs: 50 });
    const looks = (): readonly BookLine[] => world.book().filter((line) => line.runId === runId);
    const looked = async (isEnough: () => boolean): Promise<void> => {
      for (const untilMs = Date.now() + START_MAX_MS; !isEnough() && Date.now() < untilMs;) await pause(LOOK_EVERY_MS);
    };
    await looked(() => looks().length >= MIDDLE);
    const { workerId = '' } = await world.http.get(runId);
    const killed = world.rig.stack.kill(workerId);
    await looked(() => looks().filter(({ pid }) => pid !== killed).length >= MIDDLE);
    writeFileSync(file, 'half');
    await world.until(runId, ({ data }) => JSON.stringify(data).includes('half'));
    writeFileSync(file, 'done');
    expect((await world.ended(runId)).outcome).toEqual({ status: 'completed', output: 'done' });
    const recorded = (await world.facts(runId)).filter(ofType('StepsRecorded')).map(({ data }) => JSON.stringify(data));
    const seen = ['absent', 'half', 'done'];
    expect(recorded.map((text) => seen.filter((state) => text.includes(`"${state}"`)).join())).toEqual(
      expect.arrayContaining(seen),
    );
    expect(recorded.join().split('"name":"file"')).toHaveLength(seen.length + 1);
    await world.rig.stack.child(workerId).replaced(killed);
  });

  it('the loss of the whole bus: what it held is made anew from the log', async () => {
    const running = await underWay();
    const sleeping = await world.start('sleeper', { ms: 3_000 });
    await world.until(sleeping, ofType('TimerSet'));
    await world.rig.stack.wipeBus();
    const late = await world.start('adder', { left: 40, right: 2 });
    expect((await world.ended(running)).outcome).toEqual(DONE);
    expect((await world.ended(late)).outcome).toEqual({ status: 'completed', output: 'sum 42' });
    expect((await world.ended(sleeping)).outcome).toEqual({ status: 'completed', output: 'rested' });
    await expectNothingTwice(running);
  });
});
