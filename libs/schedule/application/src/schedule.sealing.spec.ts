import { PayloadsUnavailable } from '@perdure/kernel';
import { MemoryKeyRing } from '@perdure/platform-keys-memory';
import { scheduleKeyId } from '@perdure/schedule-contract';
import { ScheduleWorld, SECOND, type Instance } from './schedule.world';

const SECRET = 'the patient is called Ada';
const start = { name: 'report', input: { about: SECRET } };

describe('sealed schedules', () => {
  let keys: MemoryKeyRing;
  let world: ScheduleWorld;
  let instance: Instance;

  beforeEach(async () => {
    keys = new MemoryKeyRing();
    world = new ScheduleWorld(keys);
    instance = await world.instance();
  });

  afterEach(() => instance.stop());

  const when = (everyMs: number) => [{ type: 'interval' as const, everyMs }];

  async function restarted(withKeys = true): Promise<void> {
    await instance.stop();
    instance = withKeys ? await world.instance() : await world.withoutKeys();
  }

  it('tell nobody who reads the log what they start their runs with, nor what was said about them', async () => {
    await world.create({ start, overlap: 'allow-all' });
    await world.ask({ type: 'PauseSchedule', note: `${SECRET}: paused` });
    await world.ask({ type: 'ResumeSchedule', note: `${SECRET}: resumed` });
    const spec = { start: { ...start, input: [SECRET] }, when: when(SECOND), overlap: 'allow-all' as const };
    await world.ask({ type: 'UpdateSchedule', spec, note: `${SECRET}: updated` });
    world.answers = 'no';
    world.refusal = `${SECRET} does not fit`;
    await world.host.advance(2 * SECOND);
    world.answers = 'yes';
    // Beyond a snapshot.
    await world.host.advance(250 * SECOND);
    await world.ask({ type: 'DeleteSchedule', note: `${SECRET}: deleted` });
    expect((await world.facts('FiringRefused')).length).toBeGreaterThan(0);
    expect((await world.facts('FiringDue')).length).toBeGreaterThan(200);
    const text = await world.logText();
    expect(text).toContain('ScheduleSnapshotTaken');
    expect(text).not.toContain(SECRET);
  });

  it('start what they are to start, also after a restart from snapshot and facts', async () => {
    await world.create({ start, overlap: 'allow-all' });
    await world.host.advance(260 * SECOND);
    await restarted();
    await world.host.advance(2 * SECOND);
    expect(world.started.size).toBe(262);
    for (const run of world.started.values()) expect(run.input).toEqual({ about: SECRET });
    expect((await world.view()).spec.start.input).toEqual({ about: SECRET });
  });

  it('are the same when they are created again with what they were sealed with', async () => {
    await world.create({ start });
    expect(await world.create({ start })).toMatchObject({ ok: true, value: { version: 1 } });
    expect(await world.create({ start: { ...start, input: 'another' } })).toMatchObject({
      error: { code: 'ScheduleAlreadyExists' },
    });
  });

  it('lose what they were to start with when they are deleted, for good', async () => {
    await world.create({ start });
    await world.ask({ type: 'DeleteSchedule' });
    await world.host.advance(10);
    const keyId = scheduleKeyId(world.host.digest, { scheduleId: 'tick', generation: 1 });
    expect(await keys.seal('acme', keyId, 'anything')).toBeUndefined();
    expect(await world.facts('ScheduleErased')).toHaveLength(1);
    await restarted();
    expect((await world.view()).spec.start.input).toBeNull();
    expect(await world.create({ start })).toMatchObject({ ok: true });
    await world.host.advance(2 * SECOND);
    expect([...world.started.values()].at(-1)?.input).toEqual({ about: SECRET });
  });

  it('keep what is decided to be started until that is started', async () => {
    await world.create({ start });
    world.answers = 'silence';
    await world.host.advance(SECOND);
    await world.ask({ type: 'DeleteSchedule' });
    await restarted();
    expect(await world.facts('ScheduleErased')).toHaveLength(0);
    expect(await world.create({ start })).toMatchObject({ error: { code: 'ScheduleEnding', reaction: 'retryable' } });
    world.answers = 'yes';
    await world.host.advance(5 * SECOND);
    expect([...world.started.values()]).toMatchObject([{ input: { about: SECRET } }]);
    expect(await world.facts('ScheduleErased')).toHaveLength(1);
  });

  it('are erased by the next owner, when the one that was asked has died before it did so', async () => {
    await world.create({ start });
    const erase = keys.erase.bind(keys);
    keys.erase = () => Promise.reject(new PayloadsUnavailable('the disk is gone'));
    await world.ask({ type: 'DeleteSchedule' });
    instance.kill();
    keys.erase = erase;
    instance = await world.instance();
    await world.host.advance(2 * SECOND);
    expect(await world.facts('ScheduleErased')).toHaveLength(1);
    const keyId = scheduleKeyId(world.host.digest, { scheduleId: 'tick', generation: 1 });
    expect(await keys.seal('acme', keyId, 'anything')).toBeUndefined();
  });

  it('start nothing when a service was started without the keys', async () => {
    await world.create({ start, when: when(10 * SECOND) });
    await restarted(false);
    await world.host.advance(30 * SECOND);
    expect(world.started.size).toBe(0);
    expect(await world.ask({ type: 'GetSchedule' })).toMatchObject({ error: { code: 'KeysMissing' } });
    await restarted();
    await world.host.advance(SECOND);
    expect([...world.started.values()][0]?.input).toEqual({ about: SECRET });
  });
});
