import { logSubscription, streamSubscription, type SubscriptionSource } from '../engine/readers';
import type { Follower, StoreEngine } from '../engine/store-engine';
import { eventIdOf } from '../store/record';
import { idToText } from '../wire/event-id';
import type { EventFilter } from '../wire/requests';

export interface CrashFollowerOptions {
  readonly name: string;
  /** Undefined = the whole log. */
  readonly stream?: string;
  readonly filter?: EventFilter;
}

/** A subscription that is opened again from what it saw last, after every death of the store. */
export class CrashFollower implements Follower {
  readonly seen: string[] = [];
  /** Position, or revision in the stream, of what it saw last. */
  private last = -1;
  private engine: StoreEngine | undefined;
  private source: SubscriptionSource | undefined;

  constructor(readonly options: CrashFollowerOptions) {}

  follow(engine: StoreEngine): void {
    const { stream, filter } = this.options;
    this.engine = engine;
    const from = this.last < 0 ? 'start' : { at: this.last };
    if (stream === undefined) {
      const request = { stream, from, filter, backwards: false, limit: Number.POSITIVE_INFINITY, subscribe: true } as const;
      this.source = logSubscription(engine, { ...request, resolveLinks: false, structuredIds: false });
      engine.followLog(this);
    } else {
      const entry = engine.index.enter(stream);
      this.source = streamSubscription(engine, entry, from);
      engine.followStream(entry, this);
    }
    this.wake();
  }

  wake(): void {
    const { engine, source } = this;
    if (engine === undefined || source === undefined) return;
    try {
      for (let atHead = false; !atHead;) {
        const step = source.next(true);
        for (const event of step.page?.events ?? []) this.note(engine, event);
        if (step.checkpoint !== undefined) this.last = Math.max(this.last, step.checkpoint);
        atHead = step.atHead;
      }
    } catch {
      // The disk is off: what was not given now is given after the next start.
      this.source = undefined;
    }
  }

  private note(engine: StoreEngine, event: number): void {
    const id = idToText(eventIdOf(engine.record(event)));
    this.seen.push(id);
    this.last = this.options.stream === undefined ? engine.index.columns.position(event) : this.last + 1;
  }
}
