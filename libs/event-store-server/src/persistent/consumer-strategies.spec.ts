import { BUCKETS, type Choice, bucketOf, consumerStrategy } from './consumer-strategies';

interface Taker {
  readonly key: string;
  hasCapacity: boolean;
}

function takers(...keys: string[]): Taker[] {
  return keys.map((key) => ({ key, hasCapacity: true }));
}

function name(choice: Choice<Taker>): string {
  return typeof choice === 'string' ? choice : choice.key;
}

describe('RoundRobin', () => {
  it('takes turns, and leaves out who is full', () => {
    const strategy = consumerStrategy<Taker>('RoundRobin');
    const all = takers('a', 'b', 'c');
    for (const taker of all) strategy.add(taker);
    expect([0, 0, 0, 0].map(() => name(strategy.choose(0)))).toEqual(['a', 'b', 'c', 'a']);
    (all[1] as Taker).hasCapacity = false;
    expect([0, 0, 0].map(() => name(strategy.choose(0)))).toEqual(['c', 'a', 'c']);
    for (const taker of all) taker.hasCapacity = false;
    expect(strategy.choose(0)).toBe('full');
  });

  it('keeps its turn when somebody leaves', () => {
    const strategy = consumerStrategy<Taker>('RoundRobin');
    const [a, b, c] = takers('a', 'b', 'c') as [Taker, Taker, Taker];
    for (const taker of [a, b, c]) strategy.add(taker);
    strategy.choose(0);
    strategy.remove(a);
    expect([0, 0, 0].map(() => name(strategy.choose(0)))).toEqual(['b', 'c', 'b']);
    strategy.remove(b);
    strategy.remove(c);
    expect(strategy.choose(0)).toBe('full');
  });
});

describe('DispatchToSingle', () => {
  it('stays with one until it is full, and then with the next', () => {
    const strategy = consumerStrategy<Taker>('DispatchToSingle');
    const [a, b] = takers('a', 'b') as [Taker, Taker];
    strategy.add(a);
    strategy.add(b);
    expect([0, 0].map(() => name(strategy.choose(0)))).toEqual(['a', 'a']);
    a.hasCapacity = false;
    expect(name(strategy.choose(0))).toBe('b');
    a.hasCapacity = true;
    expect(name(strategy.choose(0))).toBe('b');
  });
});

describe('Pinned', () => {
  const buckets = Array.from({ length: BUCKETS }, (_, bucket) => bucket);

  function owners(strategy: ReturnType<typeof consumerStrategy<Taker>>): string[] {
    return buckets.map((bucket) => name(strategy.choose(bucket)));
  }

  function pinned(...all: Taker[]) {
    const strategy = consumerStrategy<Taker>('Pinned');
    for (const taker of all) strategy.add(taker);
    return strategy;
  }

  it('gives each a fair share, whoever came first', () => {
    const all = takers('a', 'b', 'c', 'd');
    const shares = owners(pinned(...all));
    for (const { key } of all) {
      const share = shares.filter((owner) => owner === key).length;
      expect(share).toBeGreaterThan(BUCKETS / 4 / 1.4);
      expect(share).toBeLessThan((BUCKETS / 4) * 1.4);
    }
    expect(owners(pinned(...[...all].reverse()))).toEqual(shares);
  });

  it('moves only what must move when somebody comes or goes', () => {
    const [a, b, c] = takers('a', 'b', 'c') as [Taker, Taker, Taker];
    const strategy = pinned(a, b);
    const before = owners(strategy);
    strategy.add(c);
    const during = owners(strategy);
    expect(during.filter((owner, bucket) => owner !== before[bucket] && owner !== 'c')).toEqual([]);
    expect(during).toContain('c');
    strategy.remove(c);
    expect(owners(strategy)).toEqual(before);
  });

  it('skips what belongs to somebody who is full, and stops when all are', () => {
    const [a, b] = takers('a', 'b') as [Taker, Taker];
    const strategy = pinned(a, b);
    const before = owners(strategy);
    a.hasCapacity = false;
    expect(owners(strategy)).toEqual(before.map((owner) => (owner === 'a' ? 'skip' : 'b')));
    b.hasCapacity = false;
    expect(strategy.choose(0)).toBe('full');
    expect(consumerStrategy<Taker>('Pinned').choose(0)).toBe('full');
  });

  it('puts a stream into the same bucket for ever', () => {
    // A new build that divides the streams anew would hand one stream to two consumers while it is rolled out.
    expect(['order-1', 'order-2', 'ordér-3'].map(bucketOf)).toMatchInlineSnapshot(`
     [
       668,
       704,
       787,
     ]
    `);
    const hit = new Set(Array.from({ length: 20_000 }, (_, n) => bucketOf(`order-${n}`)));
    expect(hit.size).toBe(BUCKETS);
  });
});
