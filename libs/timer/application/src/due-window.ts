import type { OpenTimer } from '@perdure/timer-contract';
import { LATE_AFTER_MS } from './late-release';
import type { OpenTimers } from './open-timers';

/** So far ahead timers come into memory, and this long before the last of them is due the next ones follow. */
const NEAR_MS = 10_000;
const FETCH_AHEAD_MS = 5_000;
/** Fetched at once: a few milliseconds of work. */
export const PAGE = 1_000;

/**
 * Which timers are brought from disk into memory, and when: a window that moves with the wall clock, and behind it what an
 * outage has left overdue, page by page as it is released. A jump of the clock forward is an outage too.
 */
export class DueWindow {
  /** Up to where the window has been read. */
  private near: OpenTimer | number = -Infinity;
  private overdue: { readonly after: OpenTimer | number; readonly untilMs: number } | undefined;

  constructor(private readonly timers: OpenTimers) {}

  get hasOverdue(): boolean {
    return this.overdue !== undefined;
  }

  /** By the wall clock; undefined as long as there is nothing to fetch. */
  get nextFetchAtMs(): number | undefined {
    return this.timers.hasFar ? this.timers.nearUntilMs - FETCH_AHEAD_MS : undefined;
  }

  /** Of what has come near, a page at most. */
  fetchNear(nowMs: number): readonly OpenTimer[] {
    const { timers } = this;
    const fromMs = timers.nearUntilMs;
    if (fromMs < nowMs - LATE_AFTER_MS) this.skipTo(nowMs - LATE_AFTER_MS);
    if (timers.nearUntilMs > nowMs + FETCH_AHEAD_MS) return [];
    const untilMs = nowMs + NEAR_MS;
    const { opened, last } = timers.fetch({ after: this.near, untilMs, limit: PAGE });
    this.near = last ?? untilMs;
    timers.nearUntilMs = last?.value ?? untilMs;
    return [...opened, ...timers.newsBetween(fromMs, timers.nearUntilMs)];
  }

  /** Of what should have been done long ago, the next page; in order. */
  fetchOverdue(): readonly OpenTimer[] {
    if (this.overdue === undefined) return [];
    const { opened, last } = this.timers.fetch({ ...this.overdue, limit: PAGE });
    this.overdue = last === undefined ? undefined : { after: last, untilMs: this.overdue.untilMs };
    return opened;
  }

  private skipTo(untilMs: number): void {
    this.overdue = { after: this.overdue?.after ?? this.near, untilMs };
    this.near = untilMs;
    this.timers.nearUntilMs = untilMs;
  }
}
