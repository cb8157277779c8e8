/** Bounds of the state of a schedule and of what is decided at once. Each has a unit and a reason. */

/** Firings that have not ended: what they are is held in memory. */
export const OPEN_MAX = 1_000;
/** Times that wait for the run before them. */
export const BUFFER_MAX = 1_000;
/** Backfills under way of one schedule. */
export const BACKFILLS_MAX = 10;
/** Runs that a backfill has under way at once, when they may overlap. */
export const BACKFILL_OPEN_MAX = 50;
/** Ended firings, and skipped times, that a schedule remembers; all of them are in the log. */
export const RECENT_KEPT = 20;
/** Ids of requests that are recognised when they are repeated. */
export const ASKED_IDS_KEPT = 100;
/** Times decided in one append: some 20 KB, and a few milliseconds of work. */
export const DECIDED_AT_ONCE_MAX = 50;
/** Missed times that are counted; of more it is only said that there are. */
export const MISSED_COUNTED_MAX = 1_000;
