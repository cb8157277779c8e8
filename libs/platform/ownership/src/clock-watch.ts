import type { Cancel, EventStore, Host } from '@perdure/kernel';

/** Beside the pointers of keepers; the store keeps the newest event. */
const CLOCK_STREAM = 'keeper-clock';
/** A node whose clock is off by more owns nothing. */
export const CLOCK_OFF_MAX_MS = 250;
const LOOK_EVERY_MS = 15_000;
const LOOK_AGAIN_MS = 2_000;

/**
 * Whether the wall clock of this node agrees with that of the store, by which timers count as early or late. What the store writes down
 * was written between question and answer: a slow answer makes the comparison vague, and never wrong.
 */
export class ClockWatch {
  private right = true;
  private isBounded = false;
  private cancel: Cancel = () => undefined;
  private stopped = false;

  constructor(private readonly ports: { readonly store: EventStore; readonly host: Host }) {}

  /** A clock that could not be compared is not held against its node. */
  get isRight(): boolean {
    return this.right;
  }

  /** Resolves when it has been compared once, or the store did not answer. */
  async start(): Promise<void> {
    await this.look();
    if (this.stopped) return;
    this.cancel = this.ports.host.timers.after(this.right ? LOOK_EVERY_MS : LOOK_AGAIN_MS, () => void this.start());
  }

  stop(): void {
    this.stopped = true;
    this.cancel();
  }

  private async look(): Promise<void> {
    const { host } = this.ports;
    try {
      const offMs = await this.compare();
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
