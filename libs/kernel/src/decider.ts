/** What a command leads to: facts to append (none for a repeat), or a reason why not. */
export type Decision<E, R> = { readonly accepted: readonly E[] } | { readonly rejected: R };

/** A pure description of one kind of stream. `decide` never awaits; `evolve` holds no rules. */
export interface Decider<C, E, S, R> {
  readonly initial: S;
  decide(command: C, state: S): Decision<E, R>;
  evolve(state: S, event: E): S;
}

/** What remains to be done, computed from state alone. */
export type PendingEffects<S, F> = (state: S) => readonly F[];

export function accept<E>(...events: readonly E[]): { readonly accepted: readonly E[] } {
  return { accepted: events };
}

export function reject<R>(reason: R): { readonly rejected: R } {
  return { rejected: reason };
}

export function fold<E, S>(decider: { evolve(state: S, event: E): S }, state: S, events: readonly E[]): S {
  let next = state;
  for (const event of events) next = decider.evolve(next, event);
  return next;
}

/** Ends an exhaustive switch: a value that reaches it is a bug or a corrupt history. */
export function unreachable(value: never): never {
  throw new TypeError(`Unreachable case: ${JSON.stringify(value)}`);
}
