import { scheduleSpec, type WhenSpec } from '@perdure/schedule-contract';
import { DateTime } from 'luxon';
import { calendarTimes } from './calendar-times';

const MINUTE_MS = 60_000;
const DAY_MIN = 24 * 60;

/** Zone, the first day of a window around a change of its clocks, and what happens in it. */
const CHANGES: readonly (readonly [zone: string, from: string, what: string])[] = [
  ['Europe/Berlin', '2024-03-30', 'forward by an hour'],
  ['Europe/Berlin', '2024-10-26', 'back by an hour'],
  ['Europe/Berlin', '2025-03-29', 'forward by an hour'],
  ['Europe/Berlin', '2025-10-25', 'back by an hour'],
  ['Europe/London', '2026-03-28', 'forward by an hour'],
  ['Europe/London', '2026-10-24', 'back by an hour'],
  ['America/New_York', '2024-03-09', 'forward by an hour'],
  ['America/New_York', '2024-11-02', 'back by an hour'],
  ['America/New_York', '2007-03-10', 'forward, in the first year of the new rule'],
  ['America/St_Johns', '2010-03-13', 'forward at one minute past midnight'],
  ['America/St_Johns', '2010-11-06', 'back at one minute past midnight'],
  ['Australia/Lord_Howe', '2024-04-06', 'back by half an hour'],
  ['Australia/Lord_Howe', '2024-10-05', 'forward by half an hour'],
  ['Africa/Casablanca', '2024-03-09', 'back for Ramadan'],
  ['Africa/Casablanca', '2024-04-13', 'forward after Ramadan'],
  ['America/Sao_Paulo', '2017-10-14', 'forward at midnight'],
  ['America/Sao_Paulo', '2018-02-16', 'back at midnight'],
  ['America/Sao_Paulo', '2018-11-03', 'forward at midnight, for the last time'],
  ['Asia/Beirut', '2022-03-26', 'forward at midnight'],
  ['Asia/Tehran', '2022-03-21', 'forward at midnight'],
  ['Asia/Kathmandu', '1985-12-31', 'forward by a quarter of an hour, for good'],
  ['Pacific/Apia', '2011-12-28', 'a day that is skipped'],
  ['Pacific/Kwajalein', '1993-08-20', 'a day that is skipped'],
  ['Antarctica/Troll', '2024-03-30', 'forward by two hours'],
  ['Antarctica/Troll', '2024-10-26', 'back by two hours'],
  ['Asia/Kolkata', '2024-03-30', 'nothing'],
];

const PATTERNS: readonly (readonly [expression: string, isMeant: (minuteOfDay: number) => boolean])[] = [
  ['* * * * *', () => true],
  ['*/15 * * * *', (minute) => minute % 15 === 0],
  ['30 * * * *', (minute) => minute % 60 === 30],
  ['30 2 * * *', (minute) => minute === 150],
  ['0 0 * * *', (minute) => minute === 0],
  ['5,50 0-3 * * *', (minute) => minute < 240 && [5, 50].includes(minute % 60)],
];

const specOf = (expression: string, timeZone: string): WhenSpec =>
  scheduleSpec.parse({ start: { name: 'x', input: null }, when: [{ type: 'cron', expression }], timeZone });

/** The wall clock as luxon has it, in minutes since 1970 in its own words. */
function wallMinutes(instantMs: number, zone: string): number {
  const shown = DateTime.fromMillis(instantMs, { zone });
  return (instantMs + shown.offset * MINUTE_MS) / MINUTE_MS;
}

/**
 * By looking at every minute of the window: each wall time fires once, at the first instant at which the clock shows it or has passed it.
 */
function expectedTimes(
  zone: string,
  from: string,
  days: number,
): readonly { readonly wall: number; readonly instantMs: number }[] {
  const start = DateTime.fromISO(from, { zone: 'utc' }).toMillis();
  const reached: { wall: number; instantMs: number }[] = [];
  let shownUntil = wallMinutes(start, zone);
  for (let minute = 1; minute <= days * DAY_MIN; minute += 1) {
    const instantMs = start + minute * MINUTE_MS;
    const wall = wallMinutes(instantMs, zone);
    for (let passed = shownUntil + 1; passed <= wall; passed += 1) reached.push({ wall: passed, instantMs });
    shownUntil = Math.max(shownUntil, wall);
  }
  return reached;
}

function timesBetween(spec: WhenSpec, afterMs: number, untilMs: number): number[] {
  const times: number[] = [];
  for (let time = calendarTimes.next(spec, afterMs); time !== undefined && time <= untilMs; time = calendarTimes.next(spec, time))
    times.push(time);
  return times;
}

const unique = (times: readonly number[]): number[] => [...new Set(times)];

describe('cron times where clocks change', () => {
  describe.each(CHANGES)('%s, %s: %s', (zone, from) => {
    const days = 4;
    const start = DateTime.fromISO(from, { zone: 'utc' }).toMillis();
    const reached = expectedTimes(zone, from, days);

    it.each(PATTERNS)('%s fires once for each wall time, at the first instant that has reached it', (expression, isMeant) => {
      const expected = unique(reached.filter(({ wall }) => isMeant(wall % DAY_MIN)).map(({ instantMs }) => instantMs));
      expect(timesBetween(specOf(expression, zone), start, start + days * DAY_MIN * MINUTE_MS)).toEqual(expected);
    });

    it('is the same from wherever one looks', () => {
      const spec = specOf('*/15 * * * *', zone);
      const all = timesBetween(spec, start, start + days * DAY_MIN * MINUTE_MS);
      for (let instant = start; instant < start + 3 * DAY_MIN * MINUTE_MS; instant += 7 * MINUTE_MS)
        expect(calendarTimes.next(spec, instant)).toBe(all.find((time) => time > instant));
    });
  });
});

describe('the rule, spelt out', () => {
  const first = (expression: string, zone: string, after: string): string | undefined => {
    const time = calendarTimes.next(specOf(expression, zone), DateTime.fromISO(after).toMillis());
    return time === undefined ? undefined : (DateTime.fromMillis(time, { zone }).toISO() ?? undefined);
  };

  it('a skipped time fires at the first moment after the gap', () => {
    expect(first('30 2 * * *', 'Europe/Berlin', '2024-03-30T12:00:00Z')).toBe('2024-03-31T03:00:00.000+02:00');
  });

  it('a doubled time fires at the first of the two, and not again', () => {
    expect(first('30 2 * * *', 'Europe/Berlin', '2024-10-26T12:00:00Z')).toBe('2024-10-27T02:30:00.000+02:00');
    expect(first('30 2 * * *', 'Europe/Berlin', '2024-10-27T00:30:00Z')).toBe('2024-10-28T02:30:00.000+01:00');
  });

  it('of a day that is skipped, every time is the moment after it', () => {
    expect(first('0 12 30 12 *', 'Pacific/Apia', '2011-12-29T00:00:00Z')).toBe('2011-12-31T00:00:00.000+14:00');
  });

  it('half an hour that is doubled counts once', () => {
    expect(first('*/10 * * * *', 'Australia/Lord_Howe', '2024-04-06T14:50:00Z')).toBe('2024-04-07T02:00:00.000+10:30');
  });
});
