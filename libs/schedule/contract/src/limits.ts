/** Bounds of schedules. Each has a unit and a reason. */

/** Bytes of a whole specification: it stands in a fact, in the state of its owner and in each snapshot. */
export const SPEC_BYTES_MAX = 65_536;
/** Rules of when, in one schedule: more are several schedules. */
export const WHEN_MAX = 32;
/** Exclusions of one schedule: the holidays of several years. */
export const EXCEPTIONS_MAX = 200;
/** A schedule that misses its times by more than a year is a mistake in units. */
export const SPAN_MS_MAX = 366 * 24 * 60 * 60 * 1_000;
/** Below a second a schedule is a loop, which is the business of a workflow. */
export const INTERVAL_MS_MIN = 1_000;
export const JITTER_MS_MAX = 24 * 60 * 60 * 1_000;
export const CATCH_UP_MS_DEFAULT = 60 * 60 * 1_000;
/** Next times in one answer. */
export const NEXT_TIMES_MAX = 100;
/** Firings in one answer. */
export const FIRINGS_MAX = 1_000;
/** Schedules in one answer: the owner of each is asked. */
export const LISTED_MAX = 200;
