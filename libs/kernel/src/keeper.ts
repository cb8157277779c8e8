import type { Position, RecordedEvent } from './event-store';
import type { Json } from './json';

/**
 * A keeper folds the facts that open and close its promises into an index of its own. It is driven by
 * the one follower of its process, which also checkpoints it: index and position are saved together.
 */
export interface Keeper {
  /** Names the checkpoint; one token. */
  readonly name: string;
  /** Types of the facts that open or close its promises. */
  readonly eventTypes: readonly string[];
  /** Called once before the first fact; `undefined` = no checkpoint, start empty. */
  restore(index: Json | undefined): void;
  /** Facts arrive in log order, at least once: a repeated or older one must change nothing. */
  apply(fact: RecordedEvent): void;
  /** The whole index, of bounded size, as it stands now. */
  snapshot(): Json;
  /**
   * The same index in parts that take milliseconds each, for an index that may grow large. Facts go on being applied
   * between two parts: the checkpoint has the position at which the first was asked for, and what a later part knows
   * already must be harmless when the log tells it again.
   */
  snapshotParts?(): Iterable<Json>;
  /** Of a keeper with `snapshotParts`: called after `restore(undefined)`, once for each part, in order. */
  restorePart?(part: Json): void;
  /** The follower has reached the head of the log: the index is complete up to now. */
  caughtUp?(): void;
}

export interface Following {
  /** Position up to which every keeper of this process has seen the log. */
  readonly position: Position | undefined;
  close(): Promise<void>;
}
