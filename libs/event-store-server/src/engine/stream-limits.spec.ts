import { parseLimits, revivedMetadata, SOFT_DELETED_METADATA } from './stream-limits';

const NONE = { maxCount: undefined, maxAgeSeconds: undefined, truncateBefore: undefined };

it.each<[string, object | undefined]>([
  ['{"$maxCount":3,"$maxAge":60,"$tb":5}', { maxCount: 3, maxAgeSeconds: 60, truncateBefore: 5 }],
  ['{"$maxCount":0,"$maxAge":0,"$tb":0}', { ...NONE, truncateBefore: 0 }],
  ['{"$maxCount":-1,"$maxAge":-1,"$tb":-1}', NONE],
  [SOFT_DELETED_METADATA, { ...NONE, truncateBefore: Number.POSITIVE_INFINITY }],
  ['{"$tb":100000000000000000}', { ...NONE, truncateBefore: 1e17 }],
  ['{"$maxCount":1.5,"$tb":5}', undefined],
  ['{"$maxCount":"3"}', undefined],
  ['{"$maxCount":null}', undefined],
  ['{"$maxCount":1e400}', undefined],
  ['{"$tb":9300000000000000000}', undefined],
  ['{"__proto__":{"$maxCount":1}}', NONE],
  ['[{"$maxCount":1}]', undefined],
  [`${'['.repeat(500_000)}`, undefined],
  [`{"x":${'['.repeat(100_000)}${']'.repeat(100_000)},"$maxCount":1}`, { ...NONE, maxCount: 1 }],
  ['', undefined],
])('reads the limits of %.40s', (text, limits) => {
  expect(parseLimits(text)).toEqual(limits);
});

it('begins a stream that lives again at its new events, and keeps the rest', () => {
  expect(revivedMetadata('{"$tb": 9223372036854775807, "big": 12345678901234567890}', 4)).toBe(
    '{"$tb":4, "big": 12345678901234567890}',
  );
  for (const text of ['{"mine":{"$tb":1},"$tb":9223372036854775807}', '{"mine":"\\"$tb\\":1","$tb":9223372036854775807}']) {
    const revived = revivedMetadata(text, 4);
    expect(JSON.parse(revived)).toEqual({ mine: (JSON.parse(text) as { mine: unknown }).mine, $tb: 4 });
  }
});
