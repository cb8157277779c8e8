import { specOf } from './schedule-spec';

describe('a schedule as options say it', () => {
  it('has rules of each kind, policies, and what it starts', () => {
    const spec = specOf({
      start: 'report',
      input: '{"n":1}',
      cron: ['0 9 * * 1-5', '@daily'],
      every: ['1h+15m', '30s'],
      at: ['2026-12-24T18:00:00Z'],
      timeZone: 'Europe/Berlin',
      except: ['2026-12-25'],
      overlap: 'buffer-one',
      jitter: '5s',
      catchUp: '2h',
      max: '3',
      pauseAfterFailures: '2',
      deadline: '1m',
    });
    expect(spec).toEqual({
      start: { name: 'report', input: { n: 1 }, deadlineMs: 60_000 },
      when: [
        { type: 'cron', expression: '0 9 * * 1-5' },
        { type: 'cron', expression: '@daily' },
        { type: 'interval', everyMs: 3_600_000, offsetMs: 900_000 },
        { type: 'interval', everyMs: 30_000 },
        { type: 'at', atMs: Date.parse('2026-12-24T18:00:00Z') },
      ],
      timeZone: 'Europe/Berlin',
      except: [{ type: 'date', date: '2026-12-25' }],
      overlap: 'buffer-one',
      jitterMs: 5_000,
      catchUpMs: 7_200_000,
      firingsMax: 3,
      pauseAfterFailures: 2,
    });
  });

  it('changes what is named, and keeps the rest of what was there', () => {
    const before = specOf({ start: 'report', input: '5', kind: 'agent', every: ['1h'], overlap: 'skip' });
    expect(specOf({ overlap: 'allow-all' }, before)).toEqual({ ...before, overlap: 'allow-all' });
    expect(specOf({ every: ['2h'], input: '6' }, before)).toMatchObject({
      when: [{ everyMs: 7_200_000 }],
      start: { name: 'report', kind: 'agent', input: 6 },
    });
  });

  it('does not take over kind and pool for another behaviour', () => {
    const before = specOf({ start: 'report', input: '5', kind: 'agent', pool: 'p', every: ['1h'] });
    expect(specOf({ start: 'audit' }, before).start).toEqual({ name: 'audit', input: 5 });
  });

  it.each([
    [{ start: 'report' }, 'Say when'],
    [{ every: ['1h'] }, 'Say what it starts'],
    [{ start: 'report', every: ['often'] }, '--every wants a duration'],
    [{ start: 'report', at: ['tomorrow'] }, '--at wants a time'],
  ])('says what is missing or wrong in %j', (options, message) => {
    expect(() => specOf(options)).toThrow(message);
  });
});
