import { fold, type Decider, type PendingEffects } from '@perdure/kernel';

/** The steps of a sentence: what was, what is asked, what follows. State itself is never looked at. */
export interface GivenFacts<C, E, F> {
  when(command: C): Asked<E>;
  thenPending(effects: readonly F[]): void;
}

export interface Asked<E> {
  then(...events: readonly E[]): void;
  /** Nothing happens: a repeat, or something that needs nothing done. */
  thenNothing(): void;
  thenRejected(code: string): void;
  /** The facts themselves, for what has to go on from them. */
  accepted(): readonly E[];
}

/**
 * Reads as `given(facts).when(command).then(facts)`, `.thenRejected(code)` and `given(facts).thenPending(effects)`.
 * The facts that follow are also folded: a decision that its own decider could not fold is a corrupt history to be.
 */
export function deciderSpec<C, E, S, R extends { readonly code: string }, F = never>(
  decider: Decider<C, E, S, R>,
  pending: PendingEffects<S, F> = () => [],
): (...facts: readonly E[]) => GivenFacts<C, E, F> {
  return (...facts) => {
    const state = fold(decider, decider.initial, facts);
    return {
      when: (command) => asked(decider, state, command),
      thenPending: (effects) => expect(pending(state)).toEqual(effects),
    };
  };
}

function asked<C, E, S, R extends { readonly code: string }>(decider: Decider<C, E, S, R>, state: S, command: C): Asked<E> {
  const accepted = (): readonly E[] => {
    const decision = decider.decide(command, state);
    if ('rejected' in decision) throw new Error(`Rejected as ${decision.rejected.code}: ${JSON.stringify(decision.rejected)}`);
    fold(decider, state, decision.accepted);
    return decision.accepted;
  };
  return {
    accepted,
    then: (...events) => expect(accepted()).toEqual(events),
    thenNothing: () => expect(accepted()).toEqual([]),
    thenRejected: (code) => expect(decider.decide(command, state)).toMatchObject({ rejected: { code } }),
  };
}
