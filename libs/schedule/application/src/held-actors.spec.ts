import { scheduleStream } from '@perdure/schedule-contract';
import { HeldActors } from './held-actors';
import { ScheduleWorld, SECOND, type Instance } from './schedule.world';

const SCHEDULES = 25;
const LARGE = 'x'.repeat(10_000);
/** Of some six that are so large. */
const HELD_BYTES = 90_000;
const ids = Array.from({ length: SCHEDULES }, (_, index) => `s${index}`);
const start = { name: 'report', input: LARGE };

const heldBy = ({ owner }: Instance): HeldActors => owner['actors'];

describe('schedules that are held', () => {
  let world: ScheduleWorld;
  let instance: Instance;

  beforeEach(async () => {
    world = new ScheduleWorld();
    world.heldBytesMax = HELD_BYTES;
    instance = await world.instance();
  });

  afterEach(() => instance.stop());

  async function createAll(everyMs = 2 * SECOND): Promise<void> {
    for (const id of ids) await world.create({ start, when: [{ type: 'interval', everyMs }], overlap: 'allow-all' }, id);
  }

  it('are as many as there is room for, and all of them fire', async () => {
    await createAll();
    await world.host.advance(10 * SECOND);
    expect(heldBy(instance).estimatedBytes).toBeLessThanOrEqual(HELD_BYTES);
    expect(heldBy(instance).size).toBeLessThan(SCHEDULES / 2);
    const last = Math.floor((world.host.clock.nowMs() - world.startMs) / (2 * SECOND)) * 2;
    for (const id of ids) expect((await world.fired(id)).slice(-4)).toEqual([last - 6, last - 4, last - 2, last]);
  });

  it('are read again when somebody asks, and when an end of a run is told', async () => {
    await createAll();
    await world.host.advance(4 * SECOND);
    const [id = ''] = ids;
    expect((await world.view(id)).spec.start.input).toBe(LARGE);
    for (const runId of world.started.keys()) await world.end(runId);
    await world.host.advance(SECOND);
    for (const each of ids) expect((await world.view(each)).totals.completed).toBeGreaterThan(0);
    expect(heldBy(instance).estimatedBytes).toBeLessThanOrEqual(HELD_BYTES);
  });

  it('are more while runs of theirs cannot be started, and as few as before when they can', async () => {
    await createAll();
    world.answers = 'silence';
    await world.host.advance(3 * SECOND);
    expect(heldBy(instance).size).toBe(SCHEDULES);
    world.answers = 'yes';
    await world.host.advance(10 * SECOND);
    expect(heldBy(instance).estimatedBytes).toBeLessThanOrEqual(HELD_BYTES);
    for (const id of ids) expect((await world.view(id)).totals).toMatchObject({ missed: 0, skipped: 0 });
  });

  it('are not all of them after a restart, and all of them fire', async () => {
    await createAll();
    await instance.stop();
    instance = await world.instance();
    await world.host.advance(4 * SECOND);
    expect(heldBy(instance).estimatedBytes).toBeLessThanOrEqual(HELD_BYTES);
    for (const id of ids) expect((await world.fired(id)).length).toBeGreaterThanOrEqual(2);
  });
});

describe('what is held', () => {
  it('lets go of what was used least recently, and of nothing that is not known yet', () => {
    const held = new HeldActors(0);
    const stream = (id: string): string => scheduleStream.build({ tenant: 'acme', scheduleId: id } as never);
    const idle = { isBusy: false, state: { status: 'none' } } as never;
    held.use(stream('unknown'), () => ({ isBusy: false, state: undefined }) as never);
    held.use(stream('busy'), () => ({ isBusy: true, state: { status: 'none' } }) as never);
    held.use(stream('idle'), () => idle);
    for (const id of ['unknown', 'busy', 'idle']) held.note(stream(id), { status: 'none' });
    held.trim();
    expect([...held].map(([name]) => name)).toEqual([stream('unknown'), stream('busy')]);
  });
});
