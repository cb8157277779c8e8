import { patternCost } from './pattern-cost';

it.each<[string, number]>([
  ['^order-', 7],
  ['[a-z]{3}', 3],
  ['a{0,100}', 100],
  ['a{5,}', 5],
  ['(ab){10}', 30],
  ['((a{100}){100}){100}', 1_010_100],
  ['\\pL{1000}', 51_000],
  ['\\p{Greek}', 51],
  ['[\\pL\\d\\]x]{2}', 102],
  ['\\x{10FFFF}{2}', 2],
  ['\\{3}', 3],
  ['[{3}]', 1],
  ['(a', 1],
  ['a)b', 3],
  ['[a', 2],
  ['\\', 1],
])('of %s is %i', (pattern, cost) => {
  expect(patternCost(pattern)).toBe(cost);
});

it('takes a UUID for a small one', () => {
  expect(patternCost('^run-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$')).toBeLessThan(100);
});
