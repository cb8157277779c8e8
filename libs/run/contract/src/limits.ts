/** Bounds of everything that crosses a border. Each has a unit and a reason. */

/** A run's input, a step's result, a tool's arguments: one MiB, the store's limit of an append, less its envelope. */
export const PAYLOAD_BYTES_MAX = 1_000_000;
/** One request on the bus: several results in one batch; the broker accepts 8 MiB. */
export const REQUEST_BYTES_MAX = 4_000_000;
/** Payloads above this go to the blob store, and the event refers to them. */
export const BLOB_THRESHOLD_BYTES = 65_536;
/** Entries in one report of progress: bounds the events of one append. */
export const PROGRESS_ENTRIES_MAX = 512;
/** Journal items in one sealed segment, at the most. */
export const SEGMENT_ITEMS = 1_000;
/** A segment of the journal is full beyond this; with its last item it still is a small message. */
export const SEGMENT_BYTES = 500_000;
/** What a worker is told in one message, when all of it does not fit into one. */
export const TOLD_BYTES = 4_000_000;
/** A durable wait of at most ten years: longer is a mistake in units. */
export const TIMER_DELAY_MS_MAX = 10 * 366 * 24 * 60 * 60 * 1_000;
/** What a tool says of how far it is: a position or a reference, and not the work itself. */
export const HEARTBEAT_BYTES_MAX = 4_096;
/** A signal is a message, not a document: what is larger is stored elsewhere and referred to. */
export const SIGNAL_BYTES_MAX = 32_768;
/** Facts that are folded for a look at the past, a fork or a rewind: a few seconds of work. */
export const HISTORY_FACTS_MAX = 100_000;
/** Journal items in one look at the state of a run. */
export const STATE_ITEMS_MAX = 500;
/** Journal items that a fork or a rewind carries: one activation of its worker still holds them. */
export const CARRIED_ITEMS_MAX = 10_000;
/** How long the owner holds an AwaitRun before it answers "not yet". */
export const AWAIT_HOLD_MS_MAX = 5_000;
/** Builds that a heartbeat may name as taken over: several times what a build may declare. */
export const HEARTBEAT_BUILDS_MAX = 100;
