import * as fc from 'fast-check';
import { specifiedFates } from './schedule-specification.world';
import { fatesOf, stories } from './schedule-story.world';

const STORIES = { numRuns: 300, seed: 20_260_127 };

describe('any story of a schedule', () => {
  it('has of each time the fate that is specified, at the moment that is specified', () => {
    fc.assert(
      fc.property(stories, (story) => expect(fatesOf(story)).toEqual(specifiedFates(story))),
      STORIES,
    );
  });

  it('is one of many: each policy is seen to fire, and each fate that it can lead to', () => {
    const seen = new Set<string>();
    for (const story of fc.sample(stories, STORIES))
      for (const { by, fate } of fatesOf(story)) seen.add(by === 'times' ? `${story.overlap} ${fate}` : `${by} ${fate}`);
    const policies = ['skip', 'buffer-one', 'buffer-all', 'cancel-other', 'allow-all'];
    const fates = ['fired', 'missed', 'skipped', 'waiting'];
    const impossible = new Set(['skip waiting', 'allow-all skipped', 'allow-all waiting', 'buffer-all skipped']);
    const possible = policies.flatMap((policy) => fates.map((fate) => `${policy} ${fate}`)).filter((one) => !impossible.has(one));
    expect([...seen].sort()).toEqual([...possible, 'run-now fired', 'run-now skipped'].sort());
  });
});
