import { setTimeout as pause } from 'node:timers/promises';
import { SchedulesClient } from '@perdure/cli';
import { Client } from '@perdure/sdk';
import { openRig } from '../rig/fresh-stack';
import { readRuns, readSchedules } from '../rig/log';
import { ENTRY, START_MAX_MS, World } from './rig.world';

let world: World;
let schedules: SchedulesClient;
beforeAll(async () => {
  world = new World(await openRig(() => ({ form: 'isolated', entry: ENTRY, workers: 1 })));
  schedules = new SchedulesClient(world.http);
}, START_MAX_MS);
afterAll(() => world.close(), START_MAX_MS);

const SECOND_MS = 1_000;
const LOOK_EVERY_MS = 50;
const BEFORE_EACH_DEATH = 2;

async function untilFired(scheduleId: string, count: number): Promise<void> {
  while ((await schedules.get(scheduleId)).totals.fired < count) await pause(LOOK_EVERY_MS);
}

async function untilIdle(scheduleId: string): Promise<void> {
  while ((await schedules.get(scheduleId)).openCount > 0) await pause(LOOK_EVERY_MS);
}

const start = { name: 'patient', input: { steps: 3, stepMs: 10 } };
const when = [{ type: 'interval' as const, everyMs: SECOND_MS }];

describe('a schedule', () => {
  it('fires each of its times exactly once, through kill -9 of timers, orchestrator and store', async () => {
    await schedules.create('tick', { start, when, overlap: 'allow-all' }, 'ann');
    let fired = 0;
    for (const name of ['timers', 'orchestrator', 'store', 'timers']) {
      await untilFired('tick', (fired += BEFORE_EACH_DEATH));
      const child = world.rig.stack.child(name);
      await child.replaced(world.rig.stack.kill(name));
      fired = (await schedules.get('tick')).totals.fired;
    }
    await untilFired('tick', fired + BEFORE_EACH_DEATH);
    await schedules.control('pause', 'tick', { by: 'ann', note: 'enough' });
    await untilIdle('tick');

    const { storeUrl } = world.rig.stack;
    const facts = (await readSchedules(storeUrl)).get('tick') ?? [];
    const due = facts.filter(({ type }) => type === 'FiringDue');
    const nominal = due.map(({ data }) => Number(data.nominalAtMs));
    const first = nominal[0] ?? NaN;
    expect(nominal).toEqual(nominal.map((_, index) => first + index * SECOND_MS));
    // None before, none between and none after: from its making to its pause.
    expect(first - (facts[0]?.recordedAtMs ?? 0)).toBeLessThanOrEqual(SECOND_MS);
    const pausedAtMs = Number(facts.find(({ type }) => type === 'SchedulePaused')?.data.atMs);
    expect(pausedAtMs - (nominal.at(-1) ?? 0)).toBeLessThan(SECOND_MS);
    for (const [index, { recordedAtMs }] of due.entries())
      expect(recordedAtMs).toBeGreaterThanOrEqual(nominal[index] ?? Infinity);

    const runs = await readRuns(storeUrl);
    expect([...runs.keys()].sort()).toEqual(due.map(({ data }) => String(data.runId)).sort());
    for (const run of runs.values()) {
      expect(run.filter(({ type }) => type === 'RunRequested')).toMatchObject([{ metadata: { actor: 'user:ann' } }]);
      expect(run.at(-1)?.type).toBe('RunCompleted');
    }
  });

  it('obeys who speaks over the bus, and tells who that was', async () => {
    const client = await Client.connect({ url: world.rig.stack.clientUrl, by: 'eve' });
    try {
      await client.schedules.create('yearly', {
        start,
        when: [{ type: 'cron', expression: '@yearly' }],
        timeZone: 'Europe/Berlin',
      });
      const { runId = '' } = await client.schedules.trigger('yearly');
      expect(await client.await(runId)).toEqual({ sum: 3 });
      const [next] = await client.schedules.next('yearly', 1);
      expect(new Date(next?.nominalAtMs ?? 0).toISOString()).toMatch(/-12-31T23:00:00.000Z$/);
      await untilIdle('yearly');
      expect((await client.schedules.firings('yearly')).firings).toMatchObject([{ runId, result: 'completed' }]);
      expect((await client.schedules.list()).schedules).toMatchObject([
        { scheduleId: 'tick' },
        { scheduleId: 'yearly', createdBy: 'eve' },
      ]);
      await client.schedules.delete('yearly');
      await expect(client.schedules.trigger('yearly')).rejects.toMatchObject({ code: 'ScheduleNotFound' });
    } finally {
      await client.close();
    }
  });
});
