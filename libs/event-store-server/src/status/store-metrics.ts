import type { AppendOutcome } from '../engine/store-engine';
import type { LogObserver } from '../store/append-log';

/** Upper bounds in seconds: from a good disk to one that holds up everything. */
export const SYNC_BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2] as const;

export type Refusal =
  Exclude<AppendOutcome['kind'], 'appended'> | 'access-denied' | 'unauthenticated' | 'invalid' | 'too-large' | 'timeout';

/** What the server has done since it began. Counting is an addition; nothing is kept per caller or stream. */
export class StoreMetrics implements LogObserver {
  appends = 0;
  eventsAppended = 0;
  eventsRead = 0;
  subscriptions = 0;
  writtenBytes = 0;
  syncs = 0;
  syncSeconds = 0;
  /** By bucket; the last one has no bound. */
  readonly syncsByBucket: number[] = Array.from({ length: SYNC_BUCKETS_SECONDS.length + 1 }, () => 0);
  readonly refusals = new Map<Refusal, number>();
  /** The last write found no room. */
  isDiskFull = false;

  refused(reason: Refusal): void {
    this.refusals.set(reason, (this.refusals.get(reason) ?? 0) + 1);
  }

  settled(outcome: AppendOutcome, events: number): void {
    if (outcome.kind !== 'appended') {
      this.refused(outcome.kind);
      return;
    }
    this.appends += 1;
    this.eventsAppended += events;
  }

  onSynced(bytes: number, millis: number): void {
    const seconds = millis / 1000;
    const bucket = SYNC_BUCKETS_SECONDS.findIndex((bound) => seconds <= bound);
    const at = bucket < 0 ? SYNC_BUCKETS_SECONDS.length : bucket;
    this.syncsByBucket[at] = (this.syncsByBucket[at] ?? 0) + 1;
    this.syncs += 1;
    this.syncSeconds += seconds;
    this.writtenBytes += bytes;
    this.isDiskFull = false;
  }

  onDiskFull(): void {
    this.isDiskFull = true;
  }
}
