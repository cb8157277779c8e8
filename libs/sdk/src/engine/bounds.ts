/** Bounds of the engine. Each has a unit and a reason. */

/** Progress is answered after one append: an owner that takes longer is slow or gone, and a repeat is harmless. */
export const PROGRESS_TIMEOUT_MS = 2_000;
/** A claim that is not answered by then is not asked for again: the window in which it could begin is over. */
export const CLAIM_WITHIN_MS = 5_000;
/** Repeats of an unanswered request: soon, because most gaps are short, then seldom, because many workers wait. */
export const BACKOFF_FIRST_MS = 50;
export const BACKOFF_MAX_MS = 1_000;
/** How long a result that the code did not have to wait for may stay unsent, so that more can join its batch. */
export const BACKGROUND_DELAY_MS = 5;
/** Unsent background results that are worth a request of their own. */
export const BACKGROUND_BATCH = 128;
/** Results given to the code that are not acknowledged yet: what a crash makes a worker compute again. */
export const WINDOW_ENTRIES_MAX = 512;
/** A run that waits only for facts from outside is let go after this; it stays warm. */
export const SUSPEND_AFTER_MS = 1_000;
/** Code that neither made a call nor ended within this awaits something that cannot be replayed. */
export const FOREIGN_AWAIT_MS = 1_000;
/** How long cancelled code and its tools may take to come to an end; the owner enforces twice this. */
export const CANCEL_GRACE_MS = 5_000;
/** A provider that has not answered by then will not. */
export const MODEL_TIMEOUT_MS = 600_000;
/** Error texts longer than this are cut: they are for people, and enter the log. */
export const ERROR_MESSAGE_LENGTH_MAX = 4_000;
/** Details of errors above this are dropped, for the same reason. */
export const ERROR_DETAILS_LENGTH_MAX = 16_000;
/** Suspended runs kept in memory; the oldest are dropped and replayed when they wake. */
export const WARM_RUNS_MAX = 1_000;
/** A journal segment is one read of the blob store. */
export const JOURNAL_TIMEOUT_MS = 5_000;
/** Text of a model that comes within this goes out together: soon enough for an eye, and twenty messages a second at the most. */
export const DELTA_DELAY_MS = 50;
/** Segments on their way at once: the owner reads one while the worker parses another, and neither holds many. */
export const SEGMENTS_AT_ONCE = 4;
export const HEARTBEAT_EVERY_MS = 500;
/** A tool that lasts for hours leaves some hundred facts of how far it was, and a crash loses so much of what it said. */
export const HEARTBEAT_NOTED_EVERY_MS = 5_000;
/** Turns of the event loop that code may take to come to rest: a promise of a library may need more than one. */
export const RESTING_TURNS = 3;
