import type {
  AllStreamSubscription,
  EventStoreDBClient,
  Position as ClientPosition,
  StreamSubscription,
} from '@eventstore/db-client';
import { type Cancel, type Host, type RecordedEvent, StoreAccessDenied, type Subscription } from '@perdure/kernel';
import type { ClientPool, SubscriptionSlot } from './client-pool';
import { failureOf, isUnreachable } from './failures';
import { recordedEventOf } from './translate';

const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 2000;
const CONFIRMATION_DEADLINE_MS = 10_000;

export interface FollowingOptions {
  readonly pool: ClientPool;
  readonly host: Pick<Host, 'timers' | 'log'>;
  /** For the log. */
  readonly what: string;
  /** Subscribes from where `onEvent` and `onCheckpoint` have come. */
  open(
    client: EventStoreDBClient,
    onCheckpoint: (position: ClientPosition) => Promise<void>,
  ): StreamSubscription | AllStreamSubscription;
  onEvent(event: RecordedEvent): void | Promise<void>;
  onCheckpoint(position: ClientPosition): void | Promise<void>;
  onCaughtUp(): void;
  onRefused(error: StoreAccessDenied): void;
}

/**
 * One subscription that outlives connections: it is opened again from the place it has reached, with
 * back-off, until it is closed. Events, checkpoints and "caught up" are delivered one at a time, in order.
 */
export class Following implements Subscription {
  private current: StreamSubscription | AllStreamSubscription | undefined;
  private cancelRetry: Cancel | undefined;
  private slot: SubscriptionSlot | undefined;
  private cancelDeadline: Cancel | undefined;
  private delivering: Promise<void> | undefined;
  private failures = 0;
  private isClosed = false;

  constructor(private readonly options: FollowingOptions) {
    this.open();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.cancelRetry?.();
    this.drop();
    await this.delivering;
  }

  private open(): void {
    if (this.isClosed) return;
    try {
      const slot = this.options.pool.subscriptionSlot();
      this.slot = slot;
      const attempt: { subscription?: StreamSubscription | AllStreamSubscription } = {};
      const isCurrent = (): boolean => !this.isClosed && attempt.subscription === this.current;
      const subscription = this.options.open(slot.client, async (position) => {
        await this.delivering;
        if (isCurrent()) await this.deliver(() => this.options.onCheckpoint(position));
      });
      attempt.subscription = subscription;
      this.current = subscription;
      this.cancelDeadline = this.options.host.timers.after(CONFIRMATION_DEADLINE_MS, () => {
        if (isCurrent()) this.retry(new Error('The server did not confirm the subscription in time.'), true);
      });
      this.listen(subscription, isCurrent);
    } catch (error) {
      this.retry(error);
    }
  }

  private listen(subscription: StreamSubscription | AllStreamSubscription, isCurrent: () => boolean): void {
    const lost = (error: unknown): void => {
      if (!isCurrent()) return;
      const failure = failureOf(error);
      if (failure instanceof StoreAccessDenied) this.end(failure);
      else this.retry(error);
    };
    // The listeners stay after the end: a late error without one would end the process.
    subscription.on('error', lost);
    subscription.on('end', () => lost(new Error('The server ended the subscription.')));
    subscription.on('close', () => lost(new Error('The subscription was closed.')));
    subscription.on('confirmation', () => this.cancelDeadline?.());
    subscription.on('caughtUp', () => {
      const report = (): void => {
        if (isCurrent()) this.options.onCaughtUp();
      };
      if (this.delivering === undefined) report();
      else void this.delivering.then(report);
    });
    subscription.on('data', (resolved) => {
      if (!isCurrent()) return;
      const event = recordedEventOf(resolved);
      if (event === undefined) return;
      this.failures = 0;
      const delivering = this.deliver(() => this.options.onEvent(event));
      if (delivering === undefined) return;
      subscription.pause();
      void delivering.then(() => subscription.resume());
    });
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
    this.cancelRetry = this.options.host.timers.after(delayMs, () => this.open());
  }

  /** It would be refused each time: whoever follows is told instead. */
  private end(refusal: StoreAccessDenied): void {
    this.isClosed = true;
    this.drop();
    this.options.host.log.error('subscription refused', { subscription: this.options.what, reason: refusal.message });
    this.options.onRefused(refusal);
  }

  private drop(isBroken = false): void {
    const subscription = this.current;
    const { slot } = this;
    this.current = undefined;
    this.slot = undefined;
    this.cancelDeadline?.();
    if (subscription !== undefined) {
      subscription.unsubscribe().catch(() => undefined);
      subscription.destroy();
    }
    slot?.release({ isBroken });
  }
}
