import { upcasterOf } from './upcasting';

type Type = 'Paid' | 'Shipped';

/** An amount that was a number of euros, then of cents, then had a currency. */
const upcast = upcasterOf<Type>({
  present: 4,
  steps: {
    Paid: {
      1: (data) => ({ cents: (data as { euros: number }).euros * 100 }),
      3: (data) => ({ ...(data as object), currency: 'EUR' }),
    },
  },
});

describe('what was written in an older version', () => {
  it.each<[number, object]>([
    [1, { euros: 7 }],
    [2, { cents: 700 }],
    [3, { cents: 700 }],
    [4, { cents: 700, currency: 'EUR' }],
  ])('is read as the present shape, from version %d', (version, data) => {
    expect(upcast('Paid', version, data)).toEqual({ cents: 700, currency: 'EUR' });
  });

  it('is left as it is where the shape of its type never changed', () => {
    const data = { parcels: 2 };
    expect(upcast('Shipped', 1, data)).toBe(data);
  });

  it('is refused when a later version wrote it', () => {
    expect(() => upcast('Paid', 5, {})).toThrow('schema version 5; this build reads up to 4');
  });
});
