import type { Position, RecordedEvent } from './event-store';
import type { Json } from './json';

/** Folds the facts that open and close its promises into an index of its own, driven by the one follower of its process. */
interface FactFolder {
  /** Names the checkpoint; one token. */
  readonly name: string;
  /** Types of the facts that open or close its promises. */
  readonly eventTypes: readonly string[];
  /** Facts arrive in log order, at least once: a repeated or older one must change nothing. */
  apply(fact: RecordedEvent): void;
  /** The follower has reached the head of the log: the index is complete up to now. */
  caughtUp?(): void;
}

/** A keeper whose index is in memory; the follower checkpoints it: index and position are saved together. */
export interface Keeper extends FactFolder {
  /** Called once before the first fact; `undefined` = no checkpoint, start empty. */
  restore(index: Json | undefined): void;
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
}

/** One fact of the log, and where it stands: whoever knows it can tell this log from another. */
export type FactMark = Pick<RecordedEvent, 'stream' | 'revision' | 'id' | 'position'>;

/** A keeper whose index is on a disk of its own, with what it has seen of the log: the follower only says when to save. */
export interface StoredKeeper extends FactFolder {
  /** The last fact that is sure to be in the saved index; undefined = it is empty. */
  readonly saved: FactMark | undefined;
  /** Everything that it was told up to this fact; what it may know beyond will be told again. */
  save(upTo: FactMark): Promise<void>;
  /** The saved index is of another log than this one: it must not be used. */
  clear(): Promise<void>;
}

export interface Following {
  /** Position up to which every keeper of this process has seen the log. */
  readonly position: Position | undefined;
  close(): Promise<void>;
}
