const SECOND_MS = 1_000;
const DAY_MS = 86_400_000;
const MIB = 1_048_576;

/** Older brokers ignore what durability needs, some of it silently. */
export const BROKER_VERSION_MIN = [2, 12] as const;

/** Two unanswered pings and the connection counts as lost: detection within 15 s even when no packet returns. */
export const PING_INTERVAL_MS = 5 * SECOND_MS;
export const PINGS_UNANSWERED_MAX = 2;
export const RECONNECT_WAIT_MS = 50;
export const RECONNECT_JITTER_MS = 100;
export const DIAL_TIMEOUT_MS = 5 * SECOND_MS;

/** Waiting for the broker itself: far above its slowest honest answer, below a caller's patience. */
export const BROKER_TIMEOUT_MS = 5 * SECOND_MS;

/** How often the wanted streams are tried again while the broker cannot create them. */
export const TOPOLOGY_RETRY_MS = 250;

/** Facts under way without a barrier. The broker drops what exceeds its own queue of a stream, without a word. */
export const FACTS_IN_FLIGHT_MAX = 1_000;
/** Facts waiting in this process for the barrier; beyond it they are dropped and `confirm` says so. */
export const FACTS_WAITING_MAX = 50_000;

export const COMMAND_ACK_WAIT_MS = 10 * SECOND_MS;
/** A handler that is still at work says so this often. */
export const COMMAND_WORKING_INTERVAL_MS = 3 * SECOND_MS;
export const COMMAND_RETRY_FIRST_MS = 100;
export const COMMAND_RETRY_MAX_MS = 30 * SECOND_MS;
/** Outstanding deliveries of one durable consumer over all processes; each process bounds its own share. */
export const COMMAND_ACKS_PENDING_MAX = 10_000;
export const PULL_EXPIRES_MS = 10 * SECOND_MS;
export const PULL_HEARTBEAT_MS = 500;
/** No message, heartbeat or status for so long: the consumer is gone, create it again. */
export const PULL_SILENCE_MAX_MS = 1_500;
export const WATCH_HEARTBEAT_MS = 500;
export const WATCH_SILENCE_MAX_MS = 1_500;

export const DUPLICATE_WINDOW_MS = 120 * SECOND_MS;
export const EVENTS_AGE_MAX_MS = 7 * DAY_MS;
export const EVENTS_BYTES_MAX = 2_048 * MIB;
export const COMMANDS_BYTES_MAX = 512 * MIB;
export const DEAD_LETTERS_AGE_MAX_MS = 30 * DAY_MS;
export const DEAD_LETTERS_BYTES_MAX = 256 * MIB;
export const KEY_VALUE_BYTES_MAX = 64 * MIB;

/** The broker reserves no more for streams than this: their sum, and room for a stream that two services create at once. */
export const STORE_BYTES_MAX = 2 * EVENTS_BYTES_MAX + COMMANDS_BYTES_MAX + DEAD_LETTERS_BYTES_MAX + 4 * KEY_VALUE_BYTES_MAX;
export const MEMORY_STORE_BYTES_MAX = 64 * MIB;
