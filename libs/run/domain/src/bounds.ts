/** Command ids remembered per run, whatever their age. */
export const COMMAND_IDS_KEPT = 1_000;
/** Command ids younger than this are remembered, whatever their number. */
export const COMMAND_IDS_KEPT_MS = 24 * 60 * 60 * 1_000;
/** Activations lost in a row without progress before a run is quarantined: a poison run must not kill worker after worker. */
export const LOST_ACTIVATIONS_MAX = 3;
/** A cancelled run whose worker does not let go is ended after this. */
export const CANCEL_GRACE_MS = 10_000;
/** A run that is to pause gives up what its worker has not finished after this: it is done again when the run goes on. */
export const PAUSE_GRACE_MS = 30_000;
/** A destination may ask to be left alone for so long: no quota renews later, and a retry stays a date. */
export const RETRY_AFTER_MS_MAX = 366 * 24 * 60 * 60 * 1_000;
/** Tool names told to a model that asked for one that does not exist. */
export const TOOL_NAMES_SHOWN = 50;
