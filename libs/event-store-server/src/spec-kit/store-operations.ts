import * as fc from 'fast-check';

// Random operations in the abstract: numbers that are given a meaning only when they are run, so that whatever is
// left of a list of operations after shrinking still means something.

export type ChosenExpected =
  | { readonly by: 'any' | 'no-stream' | 'stream-exists' }
  /** Relative to the revision that the stream has then. */
  | { readonly by: 'revision'; readonly offset: number };

export interface ChosenEvents {
  readonly fresh: number;
  /** Ids that were written before, to this stream or another one. */
  readonly again: { readonly stream: number; readonly back: number; readonly count: number } | undefined;
}

export type WriteOperation =
  | { readonly kind: 'append'; readonly stream: number; readonly expected: ChosenExpected; readonly events: ChosenEvents }
  | { readonly kind: 'limits'; readonly stream: number; readonly text: string; readonly type: string }
  | { readonly kind: 'soft-delete' | 'tombstone'; readonly stream: number; readonly expected: ChosenExpected };

export interface ChosenRead {
  /** Beyond the end, too. */
  readonly from: 'start' | 'end' | number;
  readonly backwards: boolean;
  readonly limit: number;
}

export type StoreOperation =
  /** All in one turn of the event loop: each is decided on top of what is not durable yet. */
  | { readonly kind: 'together'; readonly writes: readonly WriteOperation[] }
  | { readonly kind: 'tick'; readonly seconds: number }
  | ({ readonly kind: 'read-stream'; readonly stream: number } & ChosenRead)
  | ({ readonly kind: 'read-log' } & ChosenRead)
  | { readonly kind: 'follow-stream'; readonly stream: number; readonly from: 'start' | 'end' | number }
  | { readonly kind: 'follow-log'; readonly from: 'start' | 'end' | number; readonly filter: number; readonly interval: number }
  | { readonly kind: 'restart' | 'power-cut' };

export const STREAMS = ['a', 'b-1', 'b-2', 'ü-ß'] as const;
export const TYPES = ['Odd', 'Even', '$odd'] as const;

const stream = fc.nat(STREAMS.length - 1);
const from = fc.oneof(fc.constantFrom('start' as const, 'end' as const), fc.nat(12));

const expected: fc.Arbitrary<ChosenExpected> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ by: fc.constantFrom('any' as const, 'no-stream' as const, 'stream-exists' as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ by: fc.constant('revision' as const), offset: fc.constantFrom(0, 0, 0, -1, -2, -3, 1, 5) }),
  },
);

const events: fc.Arbitrary<ChosenEvents> = fc.record({
  fresh: fc.nat(3),
  again: fc.option(fc.record({ stream, back: fc.nat(6), count: fc.integer({ min: 1, max: 3 }) }), { nil: undefined, freq: 2 }),
});

const limitsText = fc.oneof(
  fc
    .record(
      {
        $maxCount: fc.constantFrom<unknown>(1, 2, 3, 0, -1, 1.5, 'x'),
        $maxAge: fc.constantFrom<unknown>(5, 30, 0, -2, null),
        $tb: fc.constantFrom<unknown>(0, 1, 2, 5, 9, -1, 1e17),
        custom: fc.constantFrom<unknown>({ $tb: 3 }, '"$tb":1', ['$maxCount', 1]),
      },
      { requiredKeys: [] },
    )
    .map((fields) => JSON.stringify(fields)),
  fc.constantFrom('', 'null', '[1]', '{"$maxCount":', '{"$tb":9223372036854775807,"custom":{"$tb":1}}'),
  fc.constantFrom('{"custom":{"$tb":1},"$tb":9223372036854775807,"$maxCount":2}', '{"__proto__":{"$maxCount":1}}'),
);

/** EventStoreDB looks at the newest event of a metastream, whatever its type. */
const metadataType = fc.constantFrom('$metadata', '$metadata', 'Odd');

const write: fc.Arbitrary<WriteOperation> = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('append' as const), stream, expected, events }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('limits' as const), stream, text: limitsText, type: metadataType }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('soft-delete' as const), stream, expected }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('tombstone' as const), stream, expected }) },
);

const read = { from, backwards: fc.boolean(), limit: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(1_000_000)) };

const operation: fc.Arbitrary<StoreOperation> = fc.oneof(
  {
    weight: 20,
    arbitrary: fc.record({ kind: fc.constant('together' as const), writes: fc.array(write, { minLength: 1, maxLength: 4 }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('tick' as const), seconds: fc.constantFrom(1, 5, 5, 25) }) },
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('read-stream' as const), stream, ...read }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('read-log' as const), ...read }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('follow-stream' as const), stream, from }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('follow-log' as const),
      from,
      filter: fc.nat(4),
      interval: fc.constantFrom(1, 3, 32),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('restart' as const, 'power-cut' as const) }) },
);

export const storeOperations: fc.Arbitrary<readonly StoreOperation[]> = fc.array(operation, {
  minLength: 1,
  maxLength: 60,
  size: 'max',
});
