import type { Cancel, Host } from '@perdure/kernel';

/** A wall clock that jumps is noticed after this. */
const LOOK_EVERY_MS = 1_000;
/** Looks in one breath: thousands of schedules of the same second are one. */
const LOOK_PAUSE_MS = 5;

/** When to look at what: one host timer for all of them. */
export class LookOuts<K> {
  private readonly times = new Map<K, number>();
  private armed: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  private lookedAtMs = Number.NEGATIVE_INFINITY;
  private stopped = false;

  /** `nowMs`: by the clock of the times; undefined while that is not known. */
  constructor(
    private readonly host: Pick<Host, 'clock' | 'timers'>,
    private readonly ports: { nowMs(): number | undefined; prepare(): Promise<void>; onDue(key: K): void },
  ) {}

  set(key: K, atMs: number | undefined): void {
    if (atMs === undefined) this.times.delete(key);
    else {
      this.times.set(key, atMs);
      this.arm(atMs);
    }
  }

  /** By the clock of the times; undefined when there is nothing to look at. */
  get nextAtMs(): number | undefined {
    let next: number | undefined;
    for (const atMs of this.times.values()) next = Math.min(next ?? atMs, atMs);
    return next;
  }

  /** The clock of the times was set. */
  clockWasSet(): void {
    void this.look();
  }

  stop(): void {
    this.stopped = true;
    this.armed?.cancel();
  }

  private async look(): Promise<void> {
    await this.ports.prepare();
    const nowMs = this.ports.nowMs();
    if (this.stopped || nowMs === undefined) return;
    this.lookedAtMs = this.host.clock.monotonicMs();
    let nextMs: number | undefined;
    for (const [key, atMs] of this.times) {
      if (atMs > nowMs) nextMs = Math.min(nextMs ?? atMs, atMs);
      else {
        this.times.delete(key);
        this.ports.onDue(key);
      }
    }
    if (nextMs !== undefined) this.arm(nextMs);
  }

  private arm(dueAtMs: number): void {
    if (this.stopped) return;
    const { clock, timers } = this.host;
    const monotonicMs = clock.monotonicMs();
    const nowMs = this.ports.nowMs() ?? dueAtMs;
    const waitMs = Math.min(Math.max(0, dueAtMs - nowMs), LOOK_EVERY_MS);
    const atMs = Math.max(monotonicMs + waitMs, this.lookedAtMs + LOOK_PAUSE_MS);
    if (this.armed !== undefined && this.armed.atMs <= atMs) return;
    this.armed?.cancel();
    const cancel = timers.after(atMs - monotonicMs, () => {
      this.armed = undefined;
      void this.look();
    });
    this.armed = { atMs, cancel };
  }
}
