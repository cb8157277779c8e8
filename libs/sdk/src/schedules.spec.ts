import type { Bus } from '@perdure/kernel';
import type { ScheduleEnvelope, ScheduleView } from '@perdure/schedule-contract';
import { scheduleEnvelope } from '@perdure/schedule-contract';
import { z } from 'zod';
import { Client } from './client';
import { VirtualHost } from './spec-kit/virtual-host';
import { workflow } from './workflow';

const report = workflow({ name: 'report', input: z.object({ day: z.string() }) }, async () => 'done');
const DAILY = { when: [{ type: 'cron' as const, expression: '@daily' }] };
const CHANGED = { scheduleId: 'daily', version: 1 };
const RUN_ID = '01890000-0000-7000-8000-000000000001';

function world(answer: (attempt: number) => unknown, by?: string) {
  const host = new VirtualHost();
  const sent: { readonly subject: string; readonly payload: string }[] = [];
  const bus: Bus = {
    request: async (subject, payload) => {
      sent.push({ subject, payload });
      return JSON.stringify(answer(sent.length));
    },
    publish: () => undefined,
    subscribe: () => ({ close: async () => undefined }),
    onReconnect: () => ({ close: async () => undefined }),
  };
  const { schedules } = new Client({ bus, host }, { tenant: 'acme', ...(by === undefined ? {} : { by }) });
  const last = (): ScheduleEnvelope => scheduleEnvelope.parse(JSON.parse(sent.at(-1)?.payload ?? ''));
  const settle = async <T>(work: Promise<T>): Promise<T> => {
    let isSettled = false;
    const end = (): void => void (isSettled = true);
    work.then(end, end);
    await host.until(() => isSettled);
    return work;
  };
  return { schedules, sent, settle, last };
}

const ok = (value?: unknown) => ({ ok: true, value });
const refused = (code: string, reaction = 'terminal') => ({ ok: false, error: { code, message: 'no', reaction } });

describe('the schedules of a client', () => {
  it('creates one of a workflow: its kind, its pool, and a checked input go along', async () => {
    const { schedules, settle, last, sent } = world(() => ok(CHANGED), 'ann');
    const definition = { ...DAILY, start: { name: report, input: { day: 'today' } }, timeZone: 'Europe/Berlin' };
    expect(await settle(schedules.create('daily', definition))).toEqual(CHANGED);
    expect(sent[0]?.subject).toBe('perdure.req.acme.schedule.daily');
    expect(last()).toMatchObject({
      actor: { kind: 'user', id: 'ann' },
      command: {
        type: 'CreateSchedule',
        spec: {
          start: { name: 'report', kind: 'workflow', pool: 'default', input: { day: 'today' } },
          timeZone: 'Europe/Berlin',
          overlap: 'skip',
        },
      },
    });
  });

  it('refuses an input that does not fit, before anything is sent', async () => {
    const { schedules, settle, sent } = world(() => ok(CHANGED));
    const wrong = schedules.create('daily', { ...DAILY, start: { name: report, input: { day: 3 } } });
    await expect(settle(wrong)).rejects.toMatchObject({ code: 'InvalidInput' });
    expect(sent).toEqual([]);
  });

  it('is told by who asks, or by what it is', async () => {
    const { schedules, settle, last } = world(() => ok(CHANGED));
    await settle(schedules.pause('daily', 'holidays'));
    expect(last()).toMatchObject({ actor: { id: 'sdk' }, command: { type: 'PauseSchedule', note: 'holidays' } });
  });

  it('repeats a wish for a run unchanged until it is answered', async () => {
    const { schedules, settle, sent, last } = world((attempt) =>
      attempt < 3 ? refused('StoreUnavailable', 'retryable') : ok({ ...CHANGED, runId: 'r1' }),
    );
    expect(await settle(schedules.trigger('daily', { id: RUN_ID, overlap: 'skip' }))).toMatchObject({ runId: 'r1' });
    expect(new Set(sent.map(({ payload }) => payload)).size).toBe(1);
    expect(last()).toMatchObject({ id: RUN_ID, command: { type: 'RunNow', overlap: 'skip' } });
  });

  it('says what it is refused', async () => {
    const { schedules, settle } = world(() => refused('ScheduleChanged'));
    const updated = schedules.update('daily', { ...DAILY, start: { name: 'report', input: 1 } }, { version: 3 });
    await expect(settle(updated)).rejects.toMatchObject({ code: 'ScheduleChanged' });
  });

  it('asks for next times, for firings, for a list and for times to be made up for', async () => {
    const next = [{ nominalAtMs: 1, dueAtMs: 2 }];
    const view = viewWith(next);
    const { schedules, settle, last, sent } = world((attempt) =>
      ok([view, { firings: [], complete: true }, { schedules: [], unanswered: [] }, CHANGED][attempt - 1]),
    );
    expect(await settle(schedules.next('daily', 1))).toEqual(next);
    expect(last().command).toEqual({ type: 'GetSchedule', next: 1 });
    expect(await settle(schedules.firings('daily', 7))).toEqual({ firings: [], complete: true });
    expect(last().command).toEqual({ type: 'ListFirings', limit: 7 });
    await settle(schedules.list({ after: 'a' }));
    expect(sent.at(-1)).toMatchObject({ subject: 'perdure.req.acme.schedules.list' });
    await settle(schedules.backfill('daily', { from: new Date(10), to: new Date(20) }));
    expect(last().command).toEqual({ type: 'Backfill', fromMs: 10, toMs: 20, overlap: 'buffer-all' });
  });
});

function viewWith(next: ScheduleView['next']): ScheduleView {
  return {
    scheduleId: 'daily',
    tenant: 'acme',
    status: 'active',
    spec: {
      start: { name: 'report', input: null },
      when: [{ type: 'at', atMs: 1 }],
      timeZone: 'UTC',
      except: [],
      jitterMs: 0,
      overlap: 'skip',
      catchUpMs: 0,
    },
    version: 1,
    createdAtMs: 0,
    createdBy: 'ann',
    changedAtMs: 0,
    next,
    open: [],
    openCount: 0,
    bufferedCount: 0,
    recent: [],
    recentlySkipped: [],
    totals: { fired: 0, skipped: 0, missed: 0, completed: 0, notCompleted: 0 },
    backfills: [],
  };
}
