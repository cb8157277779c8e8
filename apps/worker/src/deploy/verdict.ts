/** Where a run would not go on as it does: at this call, this was expected, and that is found. */
export interface Difference {
  readonly call: string;
  readonly expected: string;
  readonly found: string;
  /** In the journal; absent where nothing is replayed. */
  readonly position?: number;
}

/** Of one run under the candidate. `elsewhere`: workers of another pool are asked to go on with it. */
export type Verdict =
  { readonly is: 'same' } | { readonly is: 'elsewhere' } | { readonly is: 'different'; readonly at: Difference };

export const SAME: Verdict = { is: 'same' };

export function different(call: string, expected: string, found: string): Verdict {
  return { is: 'different', at: { call, expected, found } };
}
