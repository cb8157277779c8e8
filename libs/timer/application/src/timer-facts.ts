import { PromiseIndex, type OpenEntry, type Source } from '@perdure/keeper-application';
import { InvariantViolated } from '@perdure/kernel';
import { TERMINAL_EVENT_TYPES, runEventSchemas } from '@perdure/run-contract';

const timerSet = runEventSchemas.TimerSet.pick({ timerId: true, dueAtMs: true });
const timerFired = runEventSchemas.TimerFired.pick({ timerId: true });
const timerCancelled = runEventSchemas.TimerCancelled;

/** An open timer: `group` is the stream of its run, `id` the timer within it, `value` when it is due. */
export type OpenTimer = OpenEntry<number>;
export type TimerIndex = PromiseIndex<number>;

/** Types of the facts that open or close timers. */
export const TIMER_EVENT_TYPES: readonly string[] = ['TimerSet', 'TimerFired', 'TimerCancelled', ...TERMINAL_EVENT_TYPES];

export interface TimerFact {
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  readonly data: unknown;
}

export function timerIndex(): TimerIndex {
  return new PromiseIndex<number>({
    encode: (dueAtMs) => dueAtMs,
    decode: (json) => {
      if (typeof json !== 'number') throw new InvariantViolated('The due time of a timer is a number');
      return json;
    },
  });
}

/** @returns the timer that the fact opens, if it opens one and is news */
export function foldTimerFact(index: TimerIndex, fact: TimerFact, source: Source): OpenTimer | undefined {
  const { stream: group, revision } = fact;
  switch (fact.type) {
    case 'TimerSet': {
      const { timerId, dueAtMs } = timerSet.parse(fact.data);
      return index.open({ group, id: timerId, revision }, dueAtMs);
    }
    case 'TimerFired':
      index.close({ group, id: timerFired.parse(fact.data).timerId, revision }, source);
      return undefined;
    case 'TimerCancelled':
      index.close({ group, id: timerCancelled.parse(fact.data).timerId, revision }, source);
      return undefined;
    default:
      if (!TIMER_EVENT_TYPES.includes(fact.type))
        throw new InvariantViolated(`${fact.type} says nothing about timers`, { stream: group });
      index.closeGroup(group, revision, source);
      return undefined;
  }
}
