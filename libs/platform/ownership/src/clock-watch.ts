import type { Cancel, EventStore, Host } from '@perdure/kernel';

/** Beside the pointers of keepers; the store keeps the newest event. */
const CLOCK_STREAM = 'keeper-clock';
/** A node whose clock is off by more owns nothing. */
export const CLOCK_OFF_MAX_MS = 250;
const LOOK_EVERY_MS = 15_000;
const LOOK_AGAIN_MS = 2_000;
/** A wall clock that is set is noticed within this by itself, and at once by whoever asks whether it is settled. */
const TICK_MS = 1_000;

/**
 * Whether the wall clock of this node agrees with that of the store, by which timers count as early or late. What the store writes down
 * was written between question and answer: a slow answer makes the comparison vague, and never wrong.
 */
export class ClockWatch {
  private right = true;
  private lookedAtMs = 0;
  private looking: Promise<void> | undefined;
  /** What the wall clock was ahead of the monotonic one when it was compared last: this changes when somebody sets it. */
  private aheadMs: number | undefined;
  private isBounded = false;
  private cancel: Cancel = () => undefined;
  private stopped = false;

  constructor(private readonly ports: { readonly store: EventStore; readonly host: Host }) {}

  /** A clock that could not be compared is not held against its node. */
  get isRight(): boolean {
    return this.right;
  }

  /** Nothing that depends on the time may be decided before: false when the clock is wrong, or was set and cannot be compared. */
  async settled(): Promise<boolean> {
    if (this.wasSet) await this.look();
    return this.right && !this.wasSet;
  }

  /** Whether `settled` would have to ask. */
  get isSettled(): boolean {
    return this.right && !this.wasSet;
  }

  /** Resolves when it has been compared once, or the store did not answer. */
  async start(): Promise<void> {
    const { clock, timers } = this.ports.host;
    const ageMs = clock.monotonicMs() - this.lookedAtMs;
    if (this.aheadMs === undefined || this.wasSet || ageMs >= (this.right ? LOOK_EVERY_MS : LOOK_AGAIN_MS)) await this.look();
    if (this.stopped) return;
    this.cancel = timers.after(TICK_MS, () => void this.start());
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  private get wasSet(): boolean {
    return this.aheadMs !== undefined && Math.abs(aheadMs(this.ports.host) - this.aheadMs) > CLOCK_OFF_MAX_MS;
  }

  private look(): Promise<void> {
    this.looking ??= this.compareOnce().finally(() => {
      this.looking = undefined;
    });
    return this.looking;
  }

  private async compareOnce(): Promise<void> {
    const { host } = this.ports;
    this.lookedAtMs = host.clock.monotonicMs();
    try {
      const offMs = await this.compare();
      if (offMs !== undefined) this.aheadMs = aheadMs(host);
      const isRight = offMs === undefined ? this.right : Math.abs(offMs) <= CLOCK_OFF_MAX_MS;
      if (!isRight)
        host.log.error('the clock of this node differs from that of the event store: it owns nothing until that is mended', {
          offMs,
        });
      else if (!this.right) host.log.info('the clock of this node is right again', { offMs });
      this.right = isRight;
    } catch (error) {
      host.log.warn('the clock of this node could not be compared with that of the event store', { reason: String(error) });
    }
  }

  /** Ahead of the store by at least this (negative: behind); undefined when the clock was set meanwhile. */
  private async compare(): Promise<number | undefined> {
    const { store, host } = this.ports;
    const { clock } = host;
    if (!this.isBounded) await store.setStreamMetadata(CLOCK_STREAM, { maxCount: 1 });
    this.isBounded = true;
    const before = { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
    await store.append(CLOCK_STREAM, 'any', [{ id: host.entropy.uuid(), type: 'ClockAsked', data: { v: 1 }, metadata: {} }]);
    const [newest] = await store.read(CLOCK_STREAM, { direction: 'backward', from: 'end', limit: 1 });
    const after = { wallMs: clock.nowMs(), monotonicMs: clock.monotonicMs() };
    const wasSet = Math.abs(after.wallMs - before.wallMs - (after.monotonicMs - before.monotonicMs)) > CLOCK_OFF_MAX_MS;
    if (newest === undefined || wasSet) return undefined;
    if (before.wallMs > newest.recordedAtMs) return before.wallMs - newest.recordedAtMs;
    return Math.min(0, after.wallMs - newest.recordedAtMs);
  }
}

function aheadMs({ clock }: Host): number {
  return clock.nowMs() - clock.monotonicMs();
}
