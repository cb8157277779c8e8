import { Terminal } from '@perdure/kernel';
import type { PollOptions } from './definitions';
import { poll } from './poll';

const STARTED_AT_MS = 1_000_000;
const HOUR_MS = 3_600_000;

/** The calls of a workflow's code, and the results that were recorded; time passes only by waiting. */
class Story {
  readonly looksAtMs: number[] = [];
  readonly recorded: unknown[] = [];
  readonly sleptUntilMs: number[] = [];
  nowMs = STARTED_AT_MS;
  /** Steps after which the worker dies, once: what they gave is recorded, or not. */
  dieAfterLook: number | undefined;

  constructor(private readonly world: (elapsedMs: number) => unknown) {}

  run(options: PollOptions<unknown>, name = 'watch'): Promise<unknown> {
    let made = 0;
    const ctx = {
      now: () => STARTED_AT_MS,
      step: async <T>(_: string, run: (scope: { signal: AbortSignal; attempt: number }) => T | Promise<T>): Promise<T> => {
        made += 1;
        if (made <= this.recorded.length) return this.recorded[made - 1] as T;
        const result = await run({ signal: new AbortController().signal, attempt: 1 });
        this.recorded.push(JSON.parse(JSON.stringify(result)));
        return result;
      },
      until: async (date: Date | number): Promise<void> => {
        if (Number(date) <= this.nowMs) return;
        this.sleptUntilMs.push(Number(date) - STARTED_AT_MS);
        this.nowMs = Number(date);
      },
    };
    const clock = {
      nowMs: () => this.nowMs,
      pause: (delayMs: number) => {
        this.nowMs += delayMs;
        return Promise.resolve(true);
      },
    };
    return poll({ name, options, look: () => this.look() }, ctx, clock);
  }

  private look(): unknown {
    this.looksAtMs.push(this.nowMs - STARTED_AT_MS);
    if (this.looksAtMs.length === this.dieAfterLook) throw new Terminal('Died', 'The worker is killed.');
    return this.world(this.nowMs - STARTED_AT_MS);
  }
}

describe('a poll', () => {
  it('looks at even times, and records what differs from what it saw before', async () => {
    const story = new Story((elapsedMs) => (elapsedMs < 35 ? 'queued' : elapsedMs < 60 ? 'running' : 'done'));
    expect(await story.run({ everyMs: 10, until: (state) => state === 'done' })).toBe('done');
    expect(story.looksAtMs).toEqual([0, 10, 20, 30, 40, 50, 60]);
    expect(story.recorded).toMatchObject([{ value: 'queued' }, { value: 'running' }, { value: 'done' }]);
  });

  it('pauses for longer and longer while nothing changes', async () => {
    const story = new Story((elapsedMs) => (elapsedMs < 100 ? 'a' : elapsedMs < 130 ? 'b' : 'c'));
    await story.run({ everyMs: 10, backoff: { factor: 2, maxMs: 35 }, until: (state) => state === 'c' });
    // 10, 20, 35 … after the first; from 10 again after the change.
    expect(story.looksAtMs).toEqual([0, 10, 30, 65, 100, 110, 130]);
  });

  it('gives up when its time is over', async () => {
    const story = new Story(() => undefined);
    await expect(story.run({ everyMs: 40, timeoutMs: 100 })).rejects.toMatchObject({ code: 'PollTimedOut' });
    expect([story.looksAtMs, story.nowMs - STARTED_AT_MS]).toEqual([[0, 40, 80], 100]);
  });

  it('lets go of the run during long pauses', async () => {
    const story = new Story((elapsedMs) => elapsedMs >= 3 * HOUR_MS);
    expect(await story.run({ everyMs: HOUR_MS })).toBe(true);
    expect(story.looksAtMs).toEqual([0, 1, 2, 3].map((hours) => hours * HOUR_MS));
    expect(story.sleptUntilMs).toEqual([1, 2, 3].map((hours) => hours * HOUR_MS));
  });

  it('goes on after a crash by what was recorded last, and makes up for nothing', async () => {
    const story = new Story((elapsedMs) => (elapsedMs < 25 ? 'queued' : elapsedMs < 200 ? 'running' : 'done'));
    story.dieAfterLook = 6;
    await expect(story.run({ everyMs: 10, until: (state) => state === 'done' })).rejects.toThrow('killed');
    expect(story.looksAtMs).toEqual([0, 10, 20, 30, 40, 50]);
    expect(story.recorded).toHaveLength(2);
    story.looksAtMs.length = 0;
    story.nowMs = STARTED_AT_MS + 177;
    expect(await story.run({ everyMs: 10, until: (state) => state === 'done' })).toBe('done');
    expect(story.looksAtMs).toEqual([177, 180, 190, 200]);
  });

  it('looks again after a failure, but not for ever, and not after one that is for good', async () => {
    const flaky = new Story((elapsedMs) => {
      if (elapsedMs < 50) throw new Error('no answer');
      return 'here';
    });
    expect(await flaky.run({ everyMs: 10 })).toBe('here');
    const down = new Story(() => {
      throw new Error('down');
    });
    await expect(down.run({ everyMs: 10 })).rejects.toThrow('down');
    expect(down.looksAtMs).toHaveLength(10);
    const gone = new Story(() => {
      throw new Terminal('Gone', 'It is gone.');
    });
    await expect(gone.run({ everyMs: 10 })).rejects.toMatchObject({ code: 'Gone' });
    expect(gone.looksAtMs).toHaveLength(1);
  });

  it.each([
    [{ everyMs: 0 }],
    [{ everyMs: Number.NaN }],
    [{ everyMs: 10, timeoutMs: 0 }],
    [{ everyMs: 10, backoff: { factor: 0.5, maxMs: 20 } }],
    [{ everyMs: 10, backoff: { factor: 2, maxMs: 5 } }],
  ])('is refused with %j', async (options) => {
    await expect(new Story(() => 'x').run(options)).rejects.toMatchObject({ code: 'InvalidDuration' });
  });
});
