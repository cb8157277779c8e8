import { scheduleSpec, type ScheduleSpecInput, type WhenSpec } from '@perdure/schedule-contract';
import { calendarTimes } from './calendar-times';

const at = (text: string): number => Date.parse(text);

const specOf = (spec: Omit<ScheduleSpecInput, 'start'>): WhenSpec =>
  scheduleSpec.parse({ start: { name: 'x', input: null }, ...spec });

function timesOf(spec: Omit<ScheduleSpecInput, 'start'>, after: string, count: number): string[] {
  const times: string[] = [];
  let time = calendarTimes.next(specOf(spec), at(after));
  for (; time !== undefined && times.length < count; time = calendarTimes.next(specOf(spec), time))
    times.push(new Date(time).toISOString());
  return times;
}

const cron = (expression: string) => ({ type: 'cron', expression }) as const;

describe('nominal times', () => {
  it('of several rules are those of each, once', () => {
    expect(timesOf({ when: [cron('0 6 * * *'), cron('0 */6 * * *')] }, '2026-01-01T00:00:00Z', 4)).toEqual([
      '2026-01-01T06:00:00.000Z',
      '2026-01-01T12:00:00.000Z',
      '2026-01-01T18:00:00.000Z',
      '2026-01-02T00:00:00.000Z',
    ]);
  });

  it('of an interval are multiples, moved by the offset, whatever the zone', () => {
    const when = [{ type: 'interval', everyMs: 3_600_000, offsetMs: 60_000 }] as const;
    expect(timesOf({ when: [...when], timeZone: 'Europe/Berlin' }, '2024-10-27T00:01:00Z', 3)).toEqual([
      '2024-10-27T01:01:00.000Z',
      '2024-10-27T02:01:00.000Z',
      '2024-10-27T03:01:00.000Z',
    ]);
  });

  it('of dates are over when the last has been', () => {
    const when = ['2026-05-01T10:00:00Z', '2026-05-02T10:00:00Z'].map((text) => ({ type: 'at' as const, atMs: at(text) }));
    expect(timesOf({ when }, '2026-05-01T10:00:00Z', 5)).toEqual(['2026-05-02T10:00:00.000Z']);
  });

  it('lie between start and end, both included', () => {
    const bounds = { startAtMs: at('2026-01-02T00:00:00Z'), endAtMs: at('2026-01-03T00:00:00Z') };
    expect(timesOf({ when: [cron('@daily')], ...bounds }, '2020-01-01T00:00:00Z', 5)).toEqual([
      '2026-01-02T00:00:00.000Z',
      '2026-01-03T00:00:00.000Z',
    ]);
  });

  it('are not on excluded days of the zone', () => {
    const spec = {
      when: [cron('0 23 * * *')],
      timeZone: 'America/New_York',
      except: [{ type: 'date', date: '2026-12-25' } as const],
    };
    expect(timesOf(spec, '2026-12-24T12:00:00Z', 2)).toEqual(['2026-12-25T04:00:00.000Z', '2026-12-27T04:00:00.000Z']);
  });

  it('are not where a pattern excludes them, by the minute', () => {
    const spec = { when: [{ type: 'interval', everyMs: 20_000 } as const], except: [cron('1-58 * * * *'), cron('* * * * 6,7')] };
    expect(timesOf(spec, '2026-01-02T23:58:50Z', 4)).toEqual([
      '2026-01-02T23:59:00.000Z',
      '2026-01-02T23:59:20.000Z',
      '2026-01-02T23:59:40.000Z',
      '2026-01-05T00:00:00.000Z',
    ]);
  });

  it('are none when everything is excluded, or the day does not exist', () => {
    expect(timesOf({ when: [cron('0 0 30 2 *')] }, '2026-01-01T00:00:00Z', 1)).toEqual([]);
    expect(timesOf({ when: [cron('0 12 * * *')], except: [cron('* * * * *')] }, '2026-01-01T00:00:00Z', 1)).toEqual([]);
  });

  it.each([
    ['0 0 L * *', '2026-02-28T00:00:00.000Z'],
    ['0 0 * * 5#2', '2026-02-13T00:00:00.000Z'],
    ['0 9 * * MON-FRI', '2026-02-02T09:00:00.000Z'],
    ['*/10 * * * * *', '2026-02-01T00:00:10.000Z'],
    ['0 12 15 * FRI', '2026-02-06T12:00:00.000Z'],
  ])('of %s', (expression, first) => {
    expect(timesOf({ when: [cron(expression)] }, '2026-02-01T00:00:00Z', 1)).toEqual([first]);
  });
});

describe('what is wrong with rules', () => {
  const problemOf = (spec: Omit<ScheduleSpecInput, 'start'>) => calendarTimes.problemOf(specOf(spec));

  it.each([
    ['61 * * * *', 0, 'minute'],
    ['0 25 * * *', 2, 'hour'],
    ['0  0 * FOO *', 7, 'month'],
    ['*/0 * * * *', 0, 'minute'],
    ['0 0 0 * * MOON', 10, 'day of week'],
  ])('%s is wrong at %i', (expression, position, field) => {
    expect(problemOf({ when: [cron(expression)] })).toMatchObject({ code: 'InvalidCron', details: { position, field } });
  });

  it.each(['* * *', '2026-01-01T00:00:00', '@never', '* * * * * * *'])('%s is no pattern', (expression) => {
    expect(problemOf({ when: [cron(expression)] })).toMatchObject({ code: 'InvalidCron', details: { position: 0 } });
  });

  it('a pattern that excludes is looked at, too', () => {
    expect(problemOf({ when: [cron('@daily')], except: [cron('x')] })).toMatchObject({ code: 'InvalidCron' });
  });

  it('a zone that does not exist, a date that does not, an end before the start', () => {
    expect(problemOf({ when: [cron('@daily')], timeZone: 'Europe/Atlantis' })).toMatchObject({ code: 'UnknownTimeZone' });
    expect(problemOf({ when: [cron('@daily')], except: [{ type: 'date', date: '2026-02-30' }] })).toMatchObject({
      code: 'InvalidDate',
    });
    expect(problemOf({ when: [cron('@daily')], startAtMs: 2, endAtMs: 1 })).toMatchObject({ code: 'InvalidDate' });
  });

  it('nothing, of good ones', () => {
    expect(problemOf({ when: [cron('@daily'), cron('0 0 * * *')], timeZone: 'Europe/Berlin' })).toBeUndefined();
  });
});
