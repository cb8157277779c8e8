import type { RetryPolicy } from '@perdure/tenant-contract';

/** Command ids remembered per run, whatever their age. */
export const COMMAND_IDS_KEPT = 1_000;
/** Command ids younger than this are remembered, whatever their number. */
export const COMMAND_IDS_KEPT_MS = 24 * 60 * 60 * 1_000;
/** Activations lost in a row without progress before a run is quarantined: a poison run must not kill worker after worker. */
export const LOST_ACTIVATIONS_MAX = 3;
/** Losses of an activation that may be the fault of the run itself. */
export const LOSSES_COUNTED: ReadonlySet<string> = new Set(['worker-lost', 'worker-replaced', 'worker-stalled', 'unsendable']);
/** A cancelled run whose worker does not let go is ended after this. */
export const CANCEL_GRACE_MS = 10_000;
/** A run that is to pause gives up what its worker has not finished after this: it is done again when the run goes on. */
export const PAUSE_GRACE_MS = 30_000;
/** A destination may ask to be left alone for so long: no quota renews later, and a retry stays a date. */
export const RETRY_AFTER_MS_MAX = 366 * 24 * 60 * 60 * 1_000;
/** A claimed effect begins within this of its claim, or not at all: many times an append, and short enough to wait for. */
export const EFFECT_START_WITHIN_MS = 5_000;
/** By how much a worker, its owner and the next owner may disagree about time before an execution counts as over. */
export const EFFECT_SKEW_MS = 1_000;
/** Executions that vanish one after another: the next one is a person's to allow. */
export const EXECUTIONS_MAX = 10;
/** Asking a destination again: soon, since most know at once, then seldom; over about twenty minutes in all, then a person. */
export const PROBE_RETRY: RetryPolicy = { attemptsMax: 10, initialDelayMs: 1_000, factor: 2.5, delayMaxMs: 300_000 };
/** Signals that a run keeps until somebody reads them: together they fit into one activation of its worker. */
export const SIGNALS_UNREAD_MAX = 100;
/** Answers to persons that a run remembers: whoever comes late is told what became of it. */
export const TASKS_REMEMBERED = 100;
/** Somebody may read soon: a sender that comes back after this is not in the way. */
export const SIGNAL_RETRY_MS = 1_000;
/** Undoing is tried as patiently as the causes of its failing last: soon, then seldom; over about an hour in all. */
export const UNDO_RETRY: RetryPolicy = { attemptsMax: 15, initialDelayMs: 1_000, factor: 2.5, delayMaxMs: 300_000 };
/** A run does not end later than this after its end was decided, whatever its tools or persons do. */
export const UNDO_MS_MAX = 7 * 24 * 60 * 60 * 1_000;
/** Effects with something that would undo them, kept with their arguments and results in the state of a run. */
export const UNDO_ENTRIES_MAX = 1_000;
/** Effects that stay, named in a terminal fact: more than a person would look after. */
export const STAYS_NAMED_MAX = 200;
/** Characters of why an effect is not undone. */
export const NOT_UNDONE_WHY_MAX = 2_000;
/** Characters of arguments shown to who has to answer for an effect; the whole is in the log. */
export const ARGUMENTS_SHOWN_MAX = 300;
/** Attempts against an approval that a run tells as facts; whoever goes on trying is refused without one. */
export const APPROVAL_REFUSALS_KEPT = 20;
/** Results of tools that are remembered to notice that one comes again: a circle of so many steps is noticed. */
export const RESULTS_REMEMBERED = 20;
/** The same result so often among those remembered: three are a poll, four in twenty are a habit. */
export const REPEATS_MAX = 4;
/** Turns in a row without a result that was not there before. */
export const BARREN_TURNS_MAX = 8;
/** New results after which an agent that was suspected counts as recovered: as many as are remembered. */
export const FORGIVEN_AFTER_RESULTS = 20;
/** Turns in a row in which a model asks for nothing that could run: after so many explanations it will not learn. */
export const MISTAKES_MAX = 3;
/** Answers in a row that do not have the form asked for, after each of which the model is told what is wrong. */
export const INVALID_OUTPUTS_MAX = 3;
/** Tool names told to a model that asked for one that does not exist. */
export const TOOL_NAMES_SHOWN = 50;
