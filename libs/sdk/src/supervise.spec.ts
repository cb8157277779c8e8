import { Terminal } from '@perdure/kernel';
import { z } from 'zod';
import { supervise, type RestartPolicy } from './supervise';
import { workflow } from './workflow';

const helper = workflow({ name: 'helper', input: z.number() }, (_ctx, n) => n);

/** A child that comes to these ends, one after another. */
async function supervised(ends: readonly (number | Error)[], policy?: RestartPolicy) {
  const slept: number[] = [];
  let starts = 0;
  const ctx = {
    child: async () => {
      const end = ends[starts];
      starts += 1;
      if (end instanceof Error) throw end;
      return end;
    },
    sleep: async (ms: number) => void slept.push(ms),
  };
  const given = supervise(ctx as never, helper, { input: 1, ...(policy === undefined ? {} : { policy }) });
  const end = await given.catch((error: unknown) => (error as Terminal).code);
  return { end, starts, slept };
}
const failed = (code: string): Error => new Terminal(code, 'no');

describe('a supervised child', () => {
  it('is started again when it fails, later each time', async () => {
    expect(await supervised([failed('X'), failed('X'), failed('X'), 7])).toEqual({
      end: 7,
      starts: 4,
      slept: [1_000, 2_000, 4_000],
    });
  });

  it('fails its supervisor when it fails too often', async () => {
    const policy = { restartsMax: 1, initialDelayMs: 9, delayMaxMs: 5 };
    expect(await supervised([failed('X'), failed('Y'), 7], policy)).toEqual({ end: 'Y', starts: 2, slept: [5] });
  });

  it.each(['ChildCancelled', 'InvalidInput', 'Hopeless'])('is not started again after %s', async (code) => {
    expect(await supervised([failed(code), 7], { nonRetryable: ['Hopeless'] })).toEqual({ end: code, starts: 1, slept: [] });
  });

  it('is not started again when the supervisor itself is ended', async () => {
    expect(await supervised([new Error('the code has diverged'), 7])).toMatchObject({ starts: 1 });
  });
});
