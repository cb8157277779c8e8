import corpus from './corpus.json';
import { hunt, tell } from './main';
import type { StoryOptions } from './story';
import { MUTANTS } from './mutants';

/** The short form of `perdure simulate`, on every commit. A failure names its seed: `./perdure simulate --seed N`. */
const SEEDS = Array.from({ length: 8 }, (_, index) => 1_000 + index);

/** Faults that show within the first stories: all of them take minutes, and are the business of `perdure simulate --mutants`. */
const SHOWN_SOON: ReadonlySet<string> = new Set([
  'does not recognise a repeated report',
  'fires timers before they are due',
  'replays results in another order',
  'asks nobody to approve',
]);

async function breaches(seed: number, options: Omit<StoryOptions, 'seed'> = {}): Promise<readonly string[]> {
  const { violations } = await tell(seed, options);
  return violations.map(({ invariant, message }) => `seed ${seed}, ${invariant}: ${message}`);
}

describe('a simulated installation', () => {
  it.each(SEEDS)('keeps its invariants under the faults of seed %d', async (seed) => {
    expect(await breaches(seed)).toEqual([]);
  });

  const AS_TOLD = { claims: false, builds: false, signals: false };
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

describe('the checkers', () => {
  it.each(MUTANTS.filter(({ name }) => SHOWN_SOON.has(name)).map((mutant) => [mutant.name, mutant] as const))(
    'notice a system that %s',
    async (_name, mutant) => {
      expect(await hunt(mutant)).toBeDefined();
    },
  );
});
