import { scheduleAddress, scheduleSnapshotStream, scheduleStream } from '@perdure/schedule-contract';
import { ScheduleWorld, SECOND, type Instance } from './schedule.world';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);

describe('the owner of schedules', () => {
  let world: ScheduleWorld;
  let instance: Instance;

  beforeEach(async () => {
    world = new ScheduleWorld();
    instance = await world.instance();
  });

  afterEach(() => instance.stop());

  it('fires each time once, and starts what it says for whoever said it', async () => {
    expect(await world.create({ overlap: 'allow-all' })).toMatchObject({ ok: true, value: { scheduleId: 'tick', version: 1 } });
    await world.host.advance(5 * SECOND);
    expect(await world.fired()).toEqual(upTo(5));
    expect([...world.started.values()]).toEqual(upTo(5).map(() => ({ name: 'report', input: { n: 1 }, by: 'ann' })));
    expect((await world.facts('FiringStarted')).length).toBe(5);
  });

  it('fires no time before the clock of the store has reached it', async () => {
    await world.create({ overlap: 'allow-all', jitterMs: 300 });
    await world.host.advance(20 * SECOND);
    for (const { data, recordedAtMs } of await world.facts('FiringDue'))
      expect(recordedAtMs).toBeGreaterThanOrEqual((data as { readonly nominalAtMs: number }).nominalAtMs);
    expect((await world.fired()).length).toBeGreaterThanOrEqual(19);
  });

  it('does not believe a wall clock of its own that jumps', async () => {
    await world.create({ overlap: 'allow-all' });
    const { log, host } = world;
    const truth = host.clock.nowMs;
    let aheadMs = 0;
    Object.assign(host.clock, { nowMs: () => truth() + aheadMs });
    const append = log.append.bind(log);
    log.append = (...args) => {
      const before = aheadMs;
      aheadMs = 0;
      const result = append(...args);
      aheadMs = before;
      return result;
    };
    aheadMs = 3_600_000;
    await host.advance(5 * SECOND);
    expect(await world.fired()).toEqual(upTo(5));
  });

  it('follows the clock of the store when that is set forward, and fires nothing twice when it is set back', async () => {
    await world.create({ overlap: 'allow-all', catchUpMs: 3 * SECOND });
    await world.host.advance(2 * SECOND);
    world.host.jumpWall(100 * SECOND);
    await world.host.advance(3 * SECOND);
    const fired = await world.fired();
    world.host.jumpWall(-50 * SECOND);
    await world.host.advance(10 * SECOND);
    expect(await world.fired()).toEqual(fired);
    expect(fired).toEqual([...new Set(fired)]);
    expect(Math.max(...fired)).toBeGreaterThan(100);
  });

  it('asks until the owner of the run answers, for the same run', async () => {
    world.answers = 'unheard';
    await world.create();
    await world.host.advance(4 * SECOND);
    expect(world.started.size).toBe(1);
    expect((await world.facts('FiringStarted')).length).toBe(0);
    world.answers = 'yes';
    await world.host.advance(4 * SECOND);
    expect(world.started.size).toBe(1);
    expect((await world.view()).open).toMatchObject([{ status: 'started' }]);
  });

  it('notes what is refused for good, and goes on', async () => {
    world.answers = 'no';
    await world.create({ firingsMax: 2 });
    await world.host.advance(4 * SECOND);
    expect(await world.view()).toMatchObject({
      status: 'finished',
      remaining: 0,
      recent: [{ result: 'refused', error: { code: 'UnknownAgent' } }, { result: 'refused' }],
    });
  });

  it('learns of ends from the log, and begins what has waited', async () => {
    await world.create({ overlap: 'buffer-one' });
    await world.host.advance(3 * SECOND);
    expect(await world.fired()).toEqual([1]);
    const [first] = [...world.started.keys()];
    await world.end(first ?? '');
    expect(await world.fired()).toEqual([1, 2]);
    expect(await world.view()).toMatchObject({ recent: [{ result: 'completed' }], totals: { completed: 1, fired: 2 } });
  });

  it('cancels the other, and begins at its end', async () => {
    await world.create({ overlap: 'cancel-other', when: [{ type: 'interval', everyMs: 10 * SECOND }] });
    await world.host.advance(25 * SECOND);
    const [first] = [...world.started.keys()];
    expect(world.cancelled).toEqual([first]);
    await world.end(first ?? '', 'RunCancelled');
    expect(await world.fired()).toEqual([10, 20]);
  });

  it('goes on after a crash where it was: no time is lost, none fires twice', async () => {
    await world.create({ overlap: 'allow-all' });
    await world.host.advance(3.5 * SECOND);
    instance.kill();
    await world.host.advance(4 * SECOND);
    instance = await world.instance();
    await world.host.advance(3 * SECOND);
    expect(await world.fired()).toEqual(upTo(10));
    expect(world.started.size).toBe(10);
  });

  it('learns after a crash of ends that came while it was away', async () => {
    await world.create();
    await world.host.advance(1.5 * SECOND);
    instance.kill();
    await world.end([...world.started.keys()][0] ?? '');
    instance = await world.instance();
    await world.host.advance(SECOND);
    expect(await world.view()).toMatchObject({ recent: [{ result: 'completed' }] });
  });

  it('tells what it has missed beyond its window', async () => {
    await world.create({ overlap: 'allow-all', catchUpMs: 2 * SECOND });
    await world.host.advance(1.5 * SECOND);
    instance.kill();
    await world.host.advance(10 * SECOND);
    instance = await world.instance();
    await world.host.advance(SECOND);
    expect(await world.fired()).toEqual([1, 10, 11, 12]);
    expect(await world.view()).toMatchObject({ totals: { missed: 8 } });
  });

  it('hands over to another instance, which learns what it has to', async () => {
    const other = await world.instance(false);
    await world.create();
    await world.host.advance(1.5 * SECOND);
    instance.partitions.become(false);
    other.partitions.become(true);
    await world.end([...world.started.keys()][0] ?? '');
    await world.host.advance(SECOND);
    expect(await world.fired()).toEqual([1, 2]);
    await other.stop();
  });

  it('decides nothing twice where two believe to own it', async () => {
    const other = await world.instance();
    await world.create({ overlap: 'allow-all' });
    await world.host.advance(5 * SECOND);
    expect(await world.fired()).toEqual(upTo(5));
    expect(world.started.size).toBe(5);
    await other.stop();
  });

  it('is folded from a snapshot, and as well without', async () => {
    await world.create({ overlap: 'allow-all' });
    await world.host.advance(300 * SECOND);
    const snapshots = scheduleSnapshotStream.build(scheduleAddress('acme', 'tick'));
    expect(await world.store.read(snapshots, { direction: 'forward', from: 'start', limit: 9 })).toHaveLength(1);
    const before = await world.view();
    instance.kill();
    instance = await world.instance();
    expect(await world.view()).toEqual({ ...before, next: expect.anything() });
    await world.host.advance(2 * SECOND);
    expect((await world.fired()).length).toBe(302);
  });

  it('runs now, once for each request', async () => {
    await world.create({ when: [{ type: 'interval', everyMs: 3_600_000 }] });
    const id = world.host.entropy.uuid();
    const answer = await world.ask({ type: 'RunNow' }, { id });
    expect(await world.ask({ type: 'RunNow' }, { id })).toEqual(answer);
    await world.host.advance(SECOND);
    expect(answer).toMatchObject({ ok: true, value: { runId: [...world.started.keys()][0] } });
    expect(world.started.size).toBe(1);
  });

  it('says what is wrong with a request', async () => {
    expect(await world.create({ when: [{ type: 'cron', expression: '0 25 * * *' }] })).toMatchObject({
      ok: false,
      error: { code: 'InvalidCron', details: { position: 2, field: 'hour' } },
    });
    expect(await world.ask({ type: 'GetSchedule' }, { scheduleId: 'nobody' })).toMatchObject({
      error: { code: 'ScheduleNotFound' },
    });
    expect(await world.create({ start: { name: 'x', input: 'x'.repeat(80_000) } })).toMatchObject({
      error: { code: 'PayloadTooLarge' },
    });
    expect(await world.create({ when: [] })).toMatchObject({ error: { code: 'MalformedRequest' } });
  });

  it('looks after the others when it cannot read one', async () => {
    const stream = scheduleStream.build(scheduleAddress('acme', 'broken'));
    await world.create({ when: [{ type: 'interval', everyMs: 3_600_000 }] }, 'broken');
    await world.store.append(stream, 'any', [
      { id: world.host.entropy.uuid(), type: 'FiringStarted', data: { runId: 'nobody', atMs: 1 }, metadata: {} },
    ]);
    await world.create({ overlap: 'allow-all' });
    instance.kill();
    instance = await world.instance();
    await world.host.advance(2 * SECOND);
    expect((await world.fired()).length).toBeGreaterThan(0);
    expect(world.host.logged.filter(({ level }) => level === 'error')).not.toEqual([]);
  });
});
