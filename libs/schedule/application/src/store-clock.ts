import { delay, type EventStore, type Host } from '@perdure/kernel';

// The time of the store, by which schedules fire.
//
// 1. What is said is never ahead of the store's clock: it is a time that the store has written down, plus what has passed since on the
//    monotonic clock, from when the answer was here.
// 2. A wall clock that jumps, and a machine that slept, are reasons to ask again, and nothing else.

/** Beside the pointers of keepers; the store keeps the newest event. */
const CLOCK_STREAM = 'keeper-schedule-clock';
/** Clocks of machines drift by less than this in the time between two questions. */
const DIFFERENCE_MS_MAX = 50;
const ASK_EVERY_MS = 60_000;
/** The wall clock may differ for good: it is no reason to ask all the time. */
const ASK_PAUSE_MS = 1_000;
const RETRY_MS = 200;

interface Anchor {
  readonly storeMs: number;
  readonly monotonicMs: number;
}

export class StoreClock {
  private anchor: Anchor | undefined;
  private asking: Promise<void> | undefined;
  private isBounded = false;
  private stopped = false;

  constructor(private readonly ports: { readonly store: EventStore; readonly host: Host }) {}

  stop(): void {
    this.stopped = true;
  }

  /** Asks again before anything is believed. */
  doubt(): void {
    this.anchor = undefined;
  }

  /** Resolves when the time is known, and not doubted. */
  async ready(): Promise<void> {
    if (this.isDoubtful()) await this.ask();
  }

  /** Undefined before it was first `ready`. */
  nowMs(): number | undefined {
    if (this.anchor === undefined) return undefined;
    return Math.floor(this.anchor.storeMs + this.ports.host.clock.monotonicMs() - this.anchor.monotonicMs);
  }

  private isDoubtful(): boolean {
    if (this.anchor === undefined) return true;
    const { clock } = this.ports.host;
    const ageMs = clock.monotonicMs() - this.anchor.monotonicMs;
    const differenceMs = Math.abs(clock.nowMs() - this.anchor.storeMs - ageMs);
    return ageMs > ASK_EVERY_MS || (differenceMs > DIFFERENCE_MS_MAX && ageMs > ASK_PAUSE_MS);
  }

  private ask(): Promise<void> {
    this.asking ??= this.askUntilAnswered().finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  private async askUntilAnswered(): Promise<void> {
    while (!this.stopped) {
      try {
        this.anchor = await this.read();
        return;
      } catch (error) {
        this.ports.host.log.warn('the store does not tell its time; asking again', { reason: String(error) });
        await delay(this.ports.host, RETRY_MS);
      }
    }
  }

  private async read(): Promise<Anchor> {
    const { store, host } = this.ports;
    if (!this.isBounded) await store.setStreamMetadata(CLOCK_STREAM, { maxCount: 1 });
    this.isBounded = true;
    const event = { id: host.entropy.uuid(), type: 'ScheduleClockAsked', data: { v: 1 }, metadata: {} };
    await store.append(CLOCK_STREAM, 'any', [event]);
    const [newest] = await store.read(CLOCK_STREAM, { direction: 'backward', from: 'end', limit: 1 });
    // Whoever's event is the newest by now: it was written before this answer.
    return { storeMs: newest?.recordedAtMs ?? 0, monotonicMs: host.clock.monotonicMs() };
  }
}
