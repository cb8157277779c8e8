import type { EventStoreDBClient } from '@eventstore/db-client';
import { type Cancel, type Host, type Position, type RecordedEvent, StoreAccessDenied, type Subscription } from '@perdure/kernel';
import type { ClientPool, SubscriptionSlot } from './client-pool';
import { failureOf, isUnreachable } from './failures';
import { readAnswer, recordedEventOf } from './read-answer';
import { openReadCall, type ReadCall } from './server-calls';

const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 2000;
const CONFIRMATION_DEADLINE_MS = 10_000;

export interface FollowingOptions {
  readonly pool: ClientPool;
  readonly host: Pick<Host, 'timers' | 'log'>;
  /** For the log. */
  readonly what: string;
  /** Subscribes from where `onEvent` and `onCheckpoint` have come. */
  request(): Buffer;
  onEvent(event: RecordedEvent): void | Promise<void>;
  onCheckpoint(position: Position): void | Promise<void>;
  onCaughtUp(): void;
  onRefused(error: StoreAccessDenied): void;
}

interface Attempt {
  readonly slot: SubscriptionSlot;
  readonly cancelDeadline: Cancel;
  call?: ReadCall;
}

/**
 * One subscription that outlives connections: it is opened again from the place it has reached, with
 * back-off, until it is closed. Events, checkpoints and "caught up" are delivered one at a time, in order.
 */
export class Following implements Subscription {
  private current: Attempt | undefined;
  private cancelRetry: Cancel | undefined;
  private delivering: Promise<void> | undefined;
  private failures = 0;
  private isClosed = false;

  constructor(private readonly options: FollowingOptions) {
    void this.open();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.cancelRetry?.();
    this.drop();
    await this.delivering;
  }

  private async open(): Promise<void> {
    if (this.isClosed) return;
    try {
      const attempt = this.attempt();
      this.current = attempt;
      await this.call(attempt, attempt.slot.client);
    } catch (error) {
      this.retry(error);
    }
  }

  private attempt(): Attempt {
    const slot = this.options.pool.subscriptionSlot();
    const cancelDeadline = this.options.host.timers.after(CONFIRMATION_DEADLINE_MS, () => {
      if (this.current === attempt) this.retry(new Error('The server did not confirm the subscription in time.'), true);
    });
    const attempt: Attempt = { slot, cancelDeadline };
    return attempt;
  }

  private async call(attempt: Attempt, client: EventStoreDBClient): Promise<void> {
    const lost = (error: unknown): void => {
      if (this.current !== attempt) return;
      const failure = failureOf(error);
      if (failure instanceof StoreAccessDenied) this.end(failure);
      else this.retry(error);
    };
    let call: ReadCall;
    try {
      call = await openReadCall(client, this.options.request());
    } catch (error) {
      return lost(error);
    }
    // The listeners stay after the end: a late error without one would end the process.
    call.on('error', lost);
    if (this.current !== attempt) return call.cancel();
    attempt.call = call;
    call.on('end', () => lost(new Error('The server ended the subscription.')));
    call.on('close', () => lost(new Error('The subscription was closed.')));
    call.on('data', (message) => {
      if (this.current !== attempt) return;
      const delivering = this.deliver(() => this.take(message, attempt));
      if (delivering === undefined) return;
      call.pause();
      void delivering.then(() => call.resume());
    });
  }

  private take(message: Buffer, attempt: Attempt): void | Promise<void> {
    const answer = readAnswer(message);
    switch (answer.is) {
      case 'event':
        this.failures = 0;
        return this.options.onEvent(recordedEventOf(answer.event));
      case 'checkpoint':
        return this.options.onCheckpoint(answer.position);
      case 'caught-up':
        return this.options.onCaughtUp();
      case 'confirmed':
        return attempt.cancelDeadline();
      case 'else':
        return undefined;
    }
  }

  /** Undefined when it is done already. A handler that throws gets the same item again, later. */
  private deliver(handle: () => void | Promise<void>): Promise<void> | undefined {
    try {
      const handled = handle();
      if (handled === undefined) return undefined;
      const delivering = handled.then(
        () => undefined,
        (error: unknown) => this.retry(error),
      );
      this.delivering = delivering;
      void delivering.then(() => {
        if (this.delivering === delivering) this.delivering = undefined;
      });
      return delivering;
    } catch (error) {
      this.retry(error);
      return undefined;
    }
  }

  private retry(error: unknown, isBroken = isUnreachable(error)): void {
    this.drop(isBroken);
    if (this.isClosed) return;
    const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(this.failures, 10));
    this.failures += 1;
    const reason = error instanceof Error ? error.message : String(error);
    this.options.host.log.warn('subscription interrupted', { subscription: this.options.what, reason, delayMs });
    this.cancelRetry = this.options.host.timers.after(delayMs, () => void this.open());
  }

  /** It would be refused each time: whoever follows is told instead. */
  private end(refusal: StoreAccessDenied): void {
    this.isClosed = true;
    this.drop();
    this.options.host.log.error('subscription refused', { subscription: this.options.what, reason: refusal.message });
    this.options.onRefused(refusal);
  }

  private drop(isBroken = false): void {
    const attempt = this.current;
    this.current = undefined;
    if (attempt === undefined) return;
    attempt.cancelDeadline();
    attempt.call?.cancel();
    attempt.slot.release({ isBroken });
  }
}
