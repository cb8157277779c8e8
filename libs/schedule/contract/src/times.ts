import type { ErrorRecord } from '@perdure/kernel';
import type { WhenSpec } from './spec';

/** The calendar of schedules. Pure: the same question has the same answer, as long as the zones of the world do not change. */
export interface ScheduleTimes {
  /** What is wrong with the rules, if something is: `InvalidCron`, `UnknownTimeZone`, `InvalidDate`. */
  problemOf(spec: WhenSpec): ErrorRecord | undefined;
  /** The first nominal time after `afterMs`; undefined when there is none any more. */
  next(spec: WhenSpec, afterMs: number): number | undefined;
}
