/** Later than this is overdue. A burst after a restart is no outage: the number of requests under way bounds it. */
export const LATE_AFTER_MS = 30_000;
/** After an outage: releases a second, well below what one owner and its workers bear beside their daily work. */
export const LATE_PER_SECOND = 100;
/** Services that have just come up are cold, and everybody comes back at once: the rate grows to its height over this time. */
export const RISE_MS = 10_000;
const LEAST_PER_SECOND = 10;
/** Released at once after a pause. */
const BURST = 10;
const MS_PER_SECOND = 1_000;

/**
 * What should have happened long ago, in the order of its due times, at a bounded rate: a token bucket
 * whose inflow rises, by the monotonic clock. An outage
 * of a month must not end in a stampede that holds up what is begun now.
 */
export class LateRelease<T> {
  private waiting: T[] = [];
  private taken = 0;
  private tokens = BURST;
  private filledAtMs = 0;
  private roseFromMs: number | undefined;

  get size(): number {
    return this.waiting.length - this.taken;
  }

  /** Not before the others. */
  push(item: T): void {
    this.waiting.push(item);
  }

  /** Undefined when there is none, or it is not time yet. */
  take(nowMs: number): T | undefined {
    if (this.size === 0) return this.rest();
    this.fill(nowMs);
    if (this.tokens < 1) return undefined;
    this.tokens -= 1;
    const item = this.waiting[this.taken];
    this.taken += 1;
    if (this.taken * 2 > this.waiting.length) this.forgetTaken();
    return item;
  }

  /** When the next one may be taken; undefined when there is none. */
  nextAtMs(nowMs: number): number | undefined {
    if (this.size === 0) return undefined;
    this.fill(nowMs);
    // Whole milliseconds: less than a clock can tell would be no time at all.
    return this.tokens >= 1 ? nowMs : nowMs + Math.ceil(((1 - this.tokens) * MS_PER_SECOND) / this.perSecond(nowMs));
  }

  clear(): void {
    this.waiting = [];
    this.taken = 0;
  }

  private fill(nowMs: number): void {
    const passedMs = Math.max(0, nowMs - this.filledAtMs);
    this.filledAtMs = nowMs;
    this.tokens = Math.min(BURST, this.tokens + (passedMs * this.perSecond(nowMs)) / MS_PER_SECOND);
  }

  private perSecond(nowMs: number): number {
    this.roseFromMs ??= nowMs;
    return Math.max(LEAST_PER_SECOND, LATE_PER_SECOND * Math.min(1, (nowMs - this.roseFromMs) / RISE_MS));
  }

  /** The next outage begins as slowly. */
  private rest(): undefined {
    this.roseFromMs = undefined;
  }

  private forgetTaken(): void {
    this.waiting = this.waiting.slice(this.taken);
    this.taken = 0;
  }
}
