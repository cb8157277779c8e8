import type { FollowAllOptions, RecordedEvent, Subscription } from '@perdure/kernel';
import { type MemoryLog, indexOf, positionOf } from './memory-log';

/** Events looked at between two checkpoints, as with the server. */
const CHECKPOINT_WINDOW = 500;

export interface MemoryFollowingOptions {
  readonly log: MemoryLog;
  /** Index in the log of the first event to look at. */
  readonly from: number;
  matches(index: number): boolean;
  onEvent(event: RecordedEvent): void | Promise<void>;
  onCheckpoint?(position: { commit: string; prepare: string }): void | Promise<void>;
  onCaughtUp?(): void;
}

/** A cursor over the log: one delivery at a time, the next one after the handler is done. */
export class MemoryFollowing implements Subscription {
  private next: number;
  private considered = 0;
  private isRunning = false;
  private isLive = false;
  private isClosed = false;
  private running: Promise<void> = Promise.resolve();
  private readonly unlisten: () => void;

  constructor(private readonly options: MemoryFollowingOptions) {
    this.next = options.from;
    this.unlisten = options.log.onAppend(() => this.wake());
    this.wake();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.unlisten();
    await this.running;
  }

  private wake(): void {
    if (this.isRunning || this.isClosed) return;
    this.isRunning = true;
    this.options.log.schedule(() => {
      this.running = this.run().catch(() => this.options.log.retry(() => this.wake()));
    });
  }

  private async run(): Promise<void> {
    try {
      while (!this.isClosed && this.next < this.options.log.length) await this.step();
      if (!this.isClosed && !this.isLive) await this.goLive();
    } finally {
      this.isRunning = false;
    }
    if (this.next < this.options.log.length) this.wake();
  }

  /** The cursor moves only after the handler: one that throws gets the same event again. */
  private async step(): Promise<void> {
    const { log } = this.options;
    if (this.options.matches(this.next)) await this.options.onEvent(log.event(this.next));
    this.next += 1;
    this.considered += 1;
    if (this.considered >= CHECKPOINT_WINDOW) await this.checkpoint();
  }

  private async goLive(): Promise<void> {
    if (this.considered > 0) await this.checkpoint();
    this.isLive = true;
    if (!this.isClosed) this.options.onCaughtUp?.();
  }

  private async checkpoint(): Promise<void> {
    this.considered = 0;
    if (!this.isClosed) await this.options.onCheckpoint?.(positionOf(this.next - 1));
  }
}

export function matcherOf(log: MemoryLog, filter: FollowAllOptions['filter']): (index: number) => boolean {
  if (filter.by === 'event-type') {
    const types = new Set(filter.types);
    return (index) => types.has(log.typeOf(index));
  }
  return (index) => filter.prefixes.some((prefix) => log.streamOf(index).startsWith(prefix));
}

/** Index of the first event after a place in the log. */
export function startOf(log: MemoryLog, after: FollowAllOptions['after']): number {
  if (after === 'start') return 0;
  return after === 'end' ? log.length : indexOf(after) + 1;
}
