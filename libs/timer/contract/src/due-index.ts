import type { FactMark } from '@perdure/kernel';

export interface OpenTimer {
  /** The stream of its run. */
  readonly group: string;
  /** Unique within the run. */
  readonly id: string;
  /** Of the fact that set it. */
  readonly revision: number;
  /** When it is due, in milliseconds since the epoch. */
  readonly value: number;
}

/** `revision`: of the fact that closes; what a later fact has opened stays. */
export interface DueChanges {
  readonly opened: readonly OpenTimer[];
  readonly closed: readonly { readonly group: string; readonly id: string; readonly revision: number }[];
  readonly ended: readonly { readonly group: string; readonly revision: number }[];
}

export interface DueRange {
  /** Exclusive: the last timer that was read, or a time with all that is due then. */
  readonly after: OpenTimer | number;
  /** Inclusive. */
  readonly untilMs: number;
  readonly limit: number;
}

/**
 * Open timers on disk, by due time. It belongs to one process, which alone writes.
 * Reading answers at once: a page of a tree that the system has mapped.
 */
export interface DueIndex {
  /** What the last complete `write` was given; undefined = nothing was ever written, or it was cleared. */
  readonly reached: FactMark | undefined;
  readonly size: number;
  get(group: string, id: string): OpenTimer | undefined;
  /** In the order of their due times. */
  due(range: DueRange): readonly OpenTimer[];
  /**
   * Closes and ends first, then opens, each in place of what was there by its name. Durable when it resolves; `reached`
   * is written last, so that of an interrupted one the log tells all again.
   */
  write(changes: DueChanges, reached: FactMark): Promise<void>;
  clear(): Promise<void>;
  close(): Promise<void>;
}
