import type { RunEvent } from '@perdure/run-contract';
import type { DecidedCommand, RunState } from '@perdure/run-domain';
import type { Mutant } from './story';

export type Decision = { readonly accepted: readonly RunEvent[] } | { readonly rejected: unknown };
export type Decide = (given: DecidedCommand, state: RunState) => Decision;

interface Tools {
  deciding(change: (decide: Decide) => Decide): NonNullable<Mutant['alter']>;
  withoutEvents(decision: Decision, isDropped: (event: RunEvent) => boolean): Decision;
}

/** Faults in what becomes of effects that are exhausted, and of those that are to be undone. */
export function undoMutants({ deciding, withoutEvents }: Tools): readonly Mutant[] {
  return [
    {
      name: 'ends without undoing what it has done',
      alter: deciding((decide) => (given, state) => endingAtOnce(decide(given, state), given.at.nowMs)),
    },
    {
      name: 'ends without saying what it has done',
      alter: deciding((decide) => (given, state) => withoutEffects(decide(given, state))),
    },
    {
      name: 'undoes the oldest effect first',
      alter: deciding((decide) => (given, state) => {
        if (state.status === 'none' || state.status === 'ended') return decide(given, state);
        return decide(given, { ...state, undo: { ...state.undo, entries: [...state.undo.entries].reverse() } });
      }),
    },
    {
      name: 'forgets what is exhausted',
      alter: deciding(
        (decide) => (given, state) => withoutEvents(decide(given, state), ({ type }) => type === 'EffectDeadLettered'),
      ),
    },
  ];
}

function endingAtOnce(decision: Decision, endedAtMs: number): Decision {
  if (!('accepted' in decision)) return decision;
  const at = decision.accepted.findIndex(({ type }) => type === 'RunEnding');
  const ending = decision.accepted[at];
  if (ending?.type !== 'RunEnding' || ending.data.outcome.status !== 'cancelled') return decision;
  const { reason } = ending.data.outcome;
  return { accepted: [...decision.accepted.slice(0, at), { ...ending, type: 'RunCancelled', data: { reason, endedAtMs } }] };
}

function withoutEffects(decision: Decision): Decision {
  if (!('accepted' in decision)) return decision;
  const silent = (event: RunEvent): RunEvent => {
    if (event.type !== 'RunCancelled' && event.type !== 'RunTimedOut') return event;
    const { effects: _, ...data } = event.data;
    return { ...event, data } as RunEvent;
  };
  return { accepted: decision.accepted.map(silent) };
}
