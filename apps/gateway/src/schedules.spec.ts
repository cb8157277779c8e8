import type { Bus } from '@perdure/kernel';
import { scheduleEnvelope, schedulesRequest } from '@perdure/schedule-contract';
import { ManualHost } from '@perdure/testing';
import { httpStatusOf } from './http-errors';
import { scheduleAddressOf, ScheduleRequests } from './schedule-requests';
import { SchedulesController } from './schedules.controller';
import { BackfillBody, CreateScheduleBody, ScheduleNoteBody, TriggerBody } from './schedules.dto';

const ID = '01890000-0000-7000-8000-000000000001';
const SPEC = { start: { name: 'report', input: 1 }, when: [{ type: 'interval', everyMs: 1_000 }] };
const CHANGED = { scheduleId: 'tick', version: 1 };

function world(answer: (attempt: number) => object) {
  const host = new ManualHost();
  const sent: { readonly subject: string; readonly payload: string }[] = [];
  const bus = {
    request: async (subject: string, payload: string) => {
      sent.push({ subject, payload });
      return JSON.stringify(answer(sent.length));
    },
  } as unknown as Bus;
  const controller = new SchedulesController(new ScheduleRequests(bus, host));
  const last = () => scheduleEnvelope.parse(JSON.parse(sent.at(-1)?.payload ?? ''));
  return { controller, sent, last, host };
}

const ok = (value: object) => ({ ok: true, value });

describe('schedules over HTTP', () => {
  it('tell the owner who asks, or that nobody has said so', async () => {
    const { controller, last, sent } = world(() => ok(CHANGED));
    expect(await controller.create(CreateScheduleBody.create({ scheduleId: 'tick', spec: SPEC, by: 'ann' }))).toEqual(CHANGED);
    expect(sent[0]?.subject).toBe('perdure.req.default.schedule.tick');
    expect(last()).toMatchObject({ actor: { kind: 'user', id: 'ann' }, command: { type: 'CreateSchedule', spec: SPEC } });
    await controller.pause('tick', ScheduleNoteBody.create({ note: 'lunch', tenant: 'acme' }));
    expect(sent[1]?.subject).toBe('perdure.req.acme.schedule.tick');
    expect(last()).toMatchObject({ actor: { id: 'gateway' }, command: { type: 'PauseSchedule', note: 'lunch' } });
  });

  it('pass on the id of a wish, so that it is done once', async () => {
    const { controller, last } = world(() => ok(CHANGED));
    await controller.trigger('tick', TriggerBody.create({ id: ID, by: 'ann' }));
    expect(last()).toMatchObject({ id: ID, command: { type: 'RunNow', overlap: 'allow-all' } });
    await controller.backfill('tick', BackfillBody.create({ id: ID, fromMs: 1, toMs: 2, overlap: 'skip' }));
    expect(last()).toMatchObject({ id: ID, command: { type: 'Backfill', fromMs: 1, toMs: 2, overlap: 'skip' } });
  });

  it('are asked again, unchanged, while nobody answers', async () => {
    const busy = { ok: false, error: { code: 'StoreUnavailable', message: 'no', reaction: 'retryable' } };
    const { controller, sent, host } = world((attempt) => (attempt === 1 ? busy : ok(CHANGED)));
    const asked = controller.trigger('tick', TriggerBody.create({}));
    await host.advance(1_000);
    expect(await asked).toEqual(CHANGED);
    expect(new Set(sent.map(({ payload }) => payload)).size).toBe(1);
    expect(sent).toHaveLength(2);
  });

  it('are listed where all of them are known', async () => {
    const { controller, sent } = world(() => ok({ schedules: [], unanswered: ['tick'] }));
    expect(await controller.list({ tenant: 'acme', after: 'a', limit: 7 })).toEqual({ schedules: [], unanswered: ['tick'] });
    expect(sent[0]?.subject).toBe('perdure.req.acme.schedules.list');
    expect(schedulesRequest.parse(JSON.parse(sent[0]?.payload ?? '')).command).toEqual({
      type: 'ListSchedules',
      after: 'a',
      limit: 7,
    });
  });

  it('that cannot be are not found', () => {
    expect(() => scheduleAddressOf('acme', 'a.b')).toThrow('There is no schedule a.b');
    expect(httpStatusOf({ code: 'ScheduleNotFound', message: '', reaction: 'terminal' })).toBe(404);
    expect(httpStatusOf({ code: 'ScheduleChanged', message: '', reaction: 'terminal' })).toBe(409);
    expect(httpStatusOf({ code: 'NeverFires', message: '', reaction: 'terminal' })).toBe(400);
  });
});
