import { PARTITIONS } from '@perdure/kernel';
import { assign, nobodysMap } from './assignment';

const counts = (map: readonly string[]): Record<string, number> => {
  const result: Record<string, number> = {};
  for (const owner of map) result[owner] = (result[owner] ?? 0) + 1;
  return result;
};

describe('the partition map', () => {
  it('gives everything to the only instance', () => {
    expect(counts(assign(nobodysMap, ['a']))).toEqual({ a: PARTITIONS });
  });

  it('spreads evenly, whatever the number of instances', () => {
    const shares = Object.values(counts(assign(nobodysMap, ['a', 'b', 'c'])));
    expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
  });

  it('moves no more than the share of a newcomer', () => {
    const before = assign(nobodysMap, ['a', 'b']);
    const after = assign(before, ['a', 'b', 'c']);
    const moved = after.filter((owner, partition) => owner !== before[partition]);
    expect(new Set(moved)).toEqual(new Set(['c']));
    expect(moved.length).toBe(counts(after).c);
  });

  it('moves only what a dead instance left behind', () => {
    const before = assign(nobodysMap, ['a', 'b', 'c']);
    const after = assign(before, ['a', 'c']);
    expect(after.every((owner, partition) => before[partition] === 'b' || owner === before[partition])).toBe(true);
  });

  it('keeps the map while nobody is alive', () => {
    const before = assign(nobodysMap, ['a']);
    expect(assign(before, [])).toBe(before);
  });
});
