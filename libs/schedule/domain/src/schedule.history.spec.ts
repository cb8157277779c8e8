import type { FiringLine, ScheduleEvent } from '@perdure/schedule-contract';
import { FiringHistory } from './schedule.history';
import { buffered, created, due, ended, minute, skipped, started } from './schedule.world';

function linesOf(facts: readonly ScheduleEvent[]): readonly FiringLine[] {
  const history = new FiringHistory();
  for (const fact of [...facts].reverse()) history.add(fact);
  return history.lines;
}

const brief = (facts: readonly ScheduleEvent[]) => linesOf(facts).map(({ nominalAtMs, status }) => [nominalAtMs, status]);

describe('the history of a schedule', () => {
  it('tells of each run what became of it, newest first', () => {
    const error = { code: 'UnknownAgent', message: 'no', reaction: 'terminal' } as const;
    const refused: ScheduleEvent = { type: 'FiringRefused', data: { runId: 'run-1-2', error, atMs: minute(2) } };
    const facts = [
      created(),
      due(1),
      started('run-1-1', minute(1)),
      due(2),
      refused,
      ended('run-1-1', minute(3), 'failed'),
      due(3),
      due(4),
      started('run-1-4', minute(4)),
    ];
    expect(brief(facts)).toEqual([
      [minute(4), 'started'],
      [minute(3), 'due'],
      [minute(2), 'ended'],
      [minute(1), 'ended'],
    ]);
    expect(linesOf(facts).slice(2)).toMatchObject([
      { runId: 'run-1-2', result: 'refused', error },
      { runId: 'run-1-1', result: 'failed', endedAtMs: minute(3) },
    ]);
  });

  it('says that a run is to be cancelled, and once it has ended says only that', () => {
    const asked: ScheduleEvent = { type: 'FiringCancelRequested', data: { runId: 'run-1-1', atMs: minute(2) } };
    const facts = [created(), due(1), started('run-1-1', minute(1)), asked];
    expect(brief(facts)).toEqual([[minute(1), 'cancelling']]);
    expect(brief([...facts, ended('run-1-1', minute(3), 'cancelled')])).toEqual([[minute(1), 'ended']]);
  });

  it('tells of a time that waited once: as a run, as replaced, as waiting, or as dropped', () => {
    const waiting = [created(), due(1), buffered(2, minute(2))];
    expect(brief(waiting)).toEqual([
      [minute(2), 'waiting'],
      [minute(1), 'due'],
    ]);
    expect(brief([...waiting, due(2, minute(3), { wasBuffered: true })])[0]).toEqual([minute(2), 'due']);
    expect(brief([...waiting, due(2, minute(3), { wasBuffered: true })])).toHaveLength(2);
    const replaced = [...waiting, skipped(2, minute(3), { reason: 'replaced' }), buffered(3, minute(3))];
    expect(brief(replaced)).toEqual([
      [minute(3), 'waiting'],
      [minute(2), 'skipped'],
      [minute(1), 'due'],
    ]);
    const deleted: ScheduleEvent = { type: 'ScheduleDeleted', data: { by: 'ann', atMs: minute(4) } };
    expect(brief([...waiting, deleted])[0]).toEqual([minute(2), 'dropped']);
  });

  it('keeps apart the time itself and a backfill of it', () => {
    const cause = { by: 'backfill', id: 'again' } as const;
    const facts = [
      created(),
      buffered(1, minute(1)),
      buffered(1, minute(2), { cause }),
      due(1, minute(3), { wasBuffered: true, cause }),
    ];
    expect(linesOf(facts)).toMatchObject([
      { cause, status: 'due' },
      { cause: { by: 'times' }, status: 'waiting' },
    ]);
  });

  it('tells of missed times how many they were', () => {
    const missed: ScheduleEvent = {
      type: 'FiringsMissed',
      data: { firstMs: minute(1), untilMs: minute(60), count: 60, atMs: minute(61) },
    };
    expect(linesOf([created(), missed])).toEqual([
      {
        nominalAtMs: minute(1),
        cause: { by: 'times' },
        atMs: minute(61),
        status: 'missed',
        missed: { untilMs: minute(60), count: 60 },
      },
    ]);
  });
});
