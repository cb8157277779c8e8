import { partitionOf, token } from '@perdure/kernel';
import { firingList, scheduleList, schedulesSubject, type SchedulesRequestInput } from '@perdure/schedule-contract';
import { ScheduleWorld, SECOND, type Instance } from './schedule.world';

describe('what is told of schedules', () => {
  let world: ScheduleWorld;
  let instance: Instance;

  beforeEach(async () => {
    world = new ScheduleWorld();
    world.mapRequests();
    instance = await world.instance();
  });

  afterEach(() => instance.stop());

  async function list(command: Omit<SchedulesRequestInput['command'], 'type'> = {}, tenant = 'acme') {
    const id = partitionOf(token('list', 'id'));
    const subject = schedulesSubject.build(token(tenant, 'tenant')).replace('perdure.req', `perdure.part.${id}.req`);
    const request: SchedulesRequestInput = { v: 1, command: { type: 'ListSchedules', ...command } };
    const asked = world.bus.request(subject, JSON.stringify(request), { timeoutMs: 60 * SECOND });
    await world.host.advance(2 * SECOND);
    return JSON.parse(await asked) as { readonly ok: boolean; readonly value: unknown };
  }

  const listed = async (...how: Parameters<typeof list>) => scheduleList.parse((await list(...how)).value);

  async function firings(limit?: number) {
    const command = { type: 'ListFirings' as const, ...(limit === undefined ? {} : { limit }) };
    return firingList.parse(((await world.ask(command)) as { readonly value: unknown }).value);
  }

  it('lists those of the tenant in the order of their ids, page by page, with how they stand', async () => {
    for (const id of ['c', 'a', 'b']) await world.create({ when: [{ type: 'interval', everyMs: 3_600 * SECOND }] }, id);
    await world.ask({ type: 'PauseSchedule' }, { scheduleId: 'b' });
    const { schedules, next, unanswered } = await listed({ limit: 2 });
    expect(schedules).toMatchObject([
      { scheduleId: 'a', status: 'active', name: 'report', createdBy: 'ann' },
      { scheduleId: 'b', status: 'paused' },
    ]);
    expect([next, unanswered]).toEqual(['b', []]);
    const rest = await listed({ after: 'b' });
    expect(rest.schedules.map(({ scheduleId }) => scheduleId)).toEqual(['c']);
    expect(rest.next).toBeUndefined();
    expect((await listed({}, 'other')).schedules).toEqual([]);
  });

  it('lists what has no times left, and not what was deleted', async () => {
    await world.create({ firingsMax: 1 }, 'once');
    await world.create({}, 'gone');
    await world.host.advance(SECOND);
    await world.ask({ type: 'DeleteSchedule' }, { scheduleId: 'gone' });
    expect((await listed()).schedules).toMatchObject([{ scheduleId: 'once', status: 'finished', openCount: 1 }]);
  });

  it('names those whose owner does not answer, instead of leaving them out', async () => {
    await world.create();
    world.mapRequests(false);
    expect(await listed()).toEqual({ schedules: [], unanswered: ['tick'] });
  });

  it('tells what became of its times, newest first, as many as are wanted', async () => {
    await world.create({ overlap: 'skip' });
    await world.host.advance(2 * SECOND);
    const [runId = ''] = world.started.keys();
    await world.end(runId);
    await world.host.advance(SECOND);
    const { firings: lines, complete } = await firings();
    expect(lines.map(({ nominalAtMs, status }) => [(nominalAtMs - world.startMs) / SECOND, status])).toEqual([
      [3, 'started'],
      [2, 'skipped'],
      [1, 'ended'],
    ]);
    expect(lines[2]).toMatchObject({ runId, result: 'completed', cause: { by: 'times' } });
    expect(complete).toBe(true);
    expect(await firings(2)).toEqual({ firings: lines.slice(0, 2), complete: false });
    expect(await world.ask({ type: 'ListFirings' }, { scheduleId: 'none' })).toMatchObject({
      error: { code: 'ScheduleNotFound' },
    });
  });

  it('reads as far back as the wish goes, over more facts than one page', async () => {
    await world.create({ overlap: 'allow-all' });
    await world.host.advance(400 * SECOND);
    const { firings: lines, complete } = await firings(399);
    expect(lines.map(({ nominalAtMs }) => (nominalAtMs - world.startMs) / SECOND)).toEqual(
      Array.from({ length: 399 }, (_, index) => 400 - index),
    );
    expect(complete).toBe(false);
    expect((await firings(400)).complete).toBe(true);
  });
});
