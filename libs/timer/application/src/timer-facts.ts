import type { Source } from '@perdure/keeper-application';
import { InvariantViolated } from '@perdure/kernel';
import { TERMINAL_EVENT_TYPES, runEventSchemas } from '@perdure/run-contract';
import type { OpenTimer } from '@perdure/timer-contract';
import type { OpenTimers } from './open-timers';

const timerSet = runEventSchemas.TimerSet.pick({ timerId: true, dueAtMs: true });
const timerFired = runEventSchemas.TimerFired.pick({ timerId: true });
const timerCancelled = runEventSchemas.TimerCancelled;

/** Types of the facts that open or close timers. */
export const TIMER_EVENT_TYPES: readonly string[] = ['TimerSet', 'TimerFired', 'TimerCancelled', ...TERMINAL_EVENT_TYPES];

export interface TimerFact {
  readonly type: string;
  readonly stream: string;
  readonly revision: number;
  readonly data: unknown;
}

/** @returns the timer that the fact opens, if it opens one and is news */
export function foldTimerFact(timers: OpenTimers, fact: TimerFact, source: Source): OpenTimer | undefined {
  const { stream: group, revision } = fact;
  switch (fact.type) {
    case 'TimerSet': {
      const { timerId, dueAtMs } = timerSet.parse(fact.data);
      return timers.open({ group, id: timerId, revision }, dueAtMs);
    }
    case 'TimerFired':
      timers.close({ group, id: timerFired.parse(fact.data).timerId, revision }, source);
      return undefined;
    case 'TimerCancelled':
      timers.close({ group, id: timerCancelled.parse(fact.data).timerId, revision }, source);
      return undefined;
    default:
      if (!TIMER_EVENT_TYPES.includes(fact.type))
        throw new InvariantViolated(`${fact.type} says nothing about timers`, { stream: group });
      timers.closeGroup(group, revision, source);
      return undefined;
  }
}
