import corpus from './corpus.json';
import { tell } from './main';
import type { StoryOptions } from './story';

/** The short form of `perdure simulate`, on every commit. A failure names its seed: `./perdure simulate --seed N`. */
const SEEDS = Array.from({ length: 25 }, (_, index) => 1_000 + index);

async function breaches(seed: number, options: Omit<StoryOptions, 'seed'> = {}): Promise<readonly string[]> {
  const { violations } = await tell(seed, options);
  return violations.map(({ invariant, message }) => `seed ${seed}, ${invariant}: ${message}`);
}

describe('a simulated installation', () => {
  it.each(SEEDS)('keeps its invariants under the faults of seed %d', async (seed) => {
    expect(await breaches(seed)).toEqual([]);
  });

  const AS_TOLD = { claims: false, builds: false, signals: false, schedules: false };
  it.each(corpus.map(({ seed, was, ...told }) => [seed, was, { ...AS_TOLD, ...told }] as const))(
    'keeps them under seed %d, which once showed: %s',
    async (seed, _was, told) => {
      // As the story was told when it showed that.
      expect(await breaches(seed, told)).toEqual([]);
    },
  );

  it.each([7, 1_001, 1_002])('tells the same story twice from seed %d', async (seed) => {
    const [first, second] = [await tell(seed), await tell(seed)];
    expect([second.traceHash, second.events]).toEqual([first.traceHash, first.events]);
  });
});
