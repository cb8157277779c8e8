import type { Cancel, Delivery, Headers, Timers } from '@perdure/kernel';
import type { MemoryConnection } from './memory-connection';
import { matches } from './subject-pattern';

export interface StoredCommand {
  readonly subject: string;
  readonly payload: string;
  readonly headers: Headers;
  readonly messageId: string;
}

export interface AttachedConsumer {
  readonly name: string;
  readonly subject: string;
  readonly concurrency: number;
  readonly connection: MemoryConnection;
  readonly handler: (delivery: Delivery) => Promise<void>;
  bury(letter: { readonly subject: string; readonly payload: string; readonly headers: Headers }): void;
}

interface Entry {
  readonly command: StoredCommand;
  attempt: number;
  /** Waiting for a handler, with one, or held back until its delay has passed. */
  state: 'ready' | 'with-handler' | 'delayed';
  cancel: Cancel;
}

interface Attached extends AttachedConsumer {
  underWay: number;
}

const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 30_000;

/** A work queue: each command to one consumer at a time, again after its patience, until it is ended. */
export class CommandQueue {
  private entries = new Set<Entry>();
  private readonly ids = new Set<string>();
  private readonly consumers = new Set<Attached>();

  constructor(
    private readonly timers: Timers,
    private readonly ackWaitMs: number,
  ) {}

  get size(): number {
    return this.entries.size;
  }

  store(command: StoredCommand): void {
    if (this.ids.has(command.messageId)) return;
    this.ids.add(command.messageId);
    this.entries.add({ command, attempt: 0, state: 'ready', cancel: () => undefined });
    this.dispatch();
  }

  attach(consumer: AttachedConsumer): () => Promise<void> {
    const attached: Attached = { ...consumer, underWay: 0 };
    this.consumers.add(attached);
    this.dispatch();
    return async () => {
      this.consumers.delete(attached);
      while (attached.underWay > 0) await this.timers.turn();
    };
  }

  forget(connection: MemoryConnection): void {
    for (const consumer of this.consumers) if (consumer.connection === connection) this.consumers.delete(consumer);
  }

  wipe(): void {
    for (const entry of this.entries) entry.cancel();
    this.entries = new Set();
    this.ids.clear();
  }

  private dispatch(): void {
    for (const entry of this.entries) {
      if (entry.state !== 'ready') continue;
      const consumer = [...this.consumers].find(
        ({ subject, underWay, concurrency }) => underWay < concurrency && matches(subject, entry.command.subject),
      );
      if (consumer !== undefined) this.give(entry, consumer);
    }
  }

  private give(entry: Entry, consumer: Attached): void {
    entry.attempt += 1;
    entry.state = 'with-handler';
    consumer.underWay += 1;
    const { attempt } = entry;
    const stillMine = (): boolean =>
      this.entries.has(entry) && entry.attempt === attempt && entry.state === 'with-handler' && this.consumers.has(consumer);
    this.armPatience(entry, consumer);
    const delivery = this.deliveryOf(entry, consumer);
    queueMicrotask(() => {
      void consumer
        .handler(delivery)
        .catch(() => undefined)
        .then(() => {
          consumer.underWay -= 1;
          if (stillMine()) this.holdBack(entry, Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (attempt - 1)));
          this.dispatch();
        });
    });
  }

  private deliveryOf(entry: Entry, consumer: Attached): Delivery {
    const { subject, payload, headers } = entry.command;
    return {
      subject,
      payload,
      headers,
      attempt: entry.attempt,
      ack: async () => this.end(entry),
      retryLater: (delayMs) => this.holdBack(entry, delayMs),
      deadLetter: async (reason) => {
        consumer.bury({
          subject,
          payload,
          headers: { ...headers, 'perdure-dead-reason': reason, 'perdure-dead-consumer': consumer.name },
        });
        this.end(entry);
      },
    };
  }

  /** A handler at work keeps the command as long as its process lives, as the real adapter's heartbeat does. */
  private armPatience(entry: Entry, consumer: Attached): void {
    entry.cancel = this.timers.after(this.ackWaitMs, () => {
      if (this.consumers.has(consumer)) return this.armPatience(entry, consumer);
      entry.state = 'ready';
      this.dispatch();
    });
  }

  private holdBack(entry: Entry, delayMs: number): void {
    if (!this.entries.has(entry) || entry.state !== 'with-handler') return;
    entry.cancel();
    entry.state = 'delayed';
    entry.cancel = this.timers.after(delayMs, () => {
      entry.state = 'ready';
      this.dispatch();
    });
  }

  private end(entry: Entry): void {
    entry.cancel();
    this.entries.delete(entry);
  }
}
