import { crashSimulatedStore } from './simulated-crashes';

/** The long form is `perdure chaos --scenario store`. */
const STORES = 6;
const KILLS_PER_STORE = 20;
const SEED = 20_260_101;
const seeds = Array.from({ length: STORES }, (_, index) => SEED + index);

describe('a store that is killed at random bytes under load', () => {
  it.each(seeds)('loses, tears, doubles and moves nothing, and its followers miss nothing, seed %i', async (seed) => {
    const report = await crashSimulatedStore({ seed, kills: KILLS_PER_STORE });
    expect(report).toMatchObject({ kills: KILLS_PER_STORE, missing: 0, reordered: 0, violations: [] });
    expect(report.acknowledged).toBeGreaterThan(100);
  });

  it.each(['about-sync', 'about-names'] as const)('would be caught: a disk that lies %s', async (lie) => {
    const reports = await Promise.all(
      seeds.slice(0, 3).map((seed) => crashSimulatedStore({ seed, kills: KILLS_PER_STORE, lie })),
    );
    expect(reports.flatMap(({ violations }) => violations)).not.toEqual([]);
  });
});
