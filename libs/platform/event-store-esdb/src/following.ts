import { type Cancel, type Host, type Position, type RecordedEvent, type Subscription, delay } from '@perdure/kernel';
import type { Call } from './connection';
import type { ConnectionPool, HeldConnection } from './connection-pool';
import { decodeReadAnswer } from './responses';

const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 2000;
const CONFIRMATION_DEADLINE_MS = 10_000;

export interface FollowingOptions {
  readonly pool: ConnectionPool;
  readonly host: Pick<Host, 'timers' | 'log'>;
  /** For the log. */
  readonly what: string;
  /** The request that goes on from where the handlers have come. */
  request(): Promise<Buffer>;
  onEvent(event: RecordedEvent): void | Promise<void>;
  onCheckpoint(position: Position): void | Promise<void>;
  onCaughtUp(): void;
}

/**
 * One subscription that outlives connections: it is opened again from the place it has reached, with
 * back-off, until it is closed. What the server sends is handled one by one, in its order.
 */
export class Following implements Subscription {
  private call: Call | undefined;
  private held: HeldConnection | undefined;
  private cancelDeadline: Cancel | undefined;
  private handling: Promise<void> | undefined;
  private failures = 0;
  private isClosed = false;
  private readonly closed: Promise<void>;
  private resolveClosed: () => void = () => undefined;

  constructor(private readonly options: FollowingOptions) {
    this.closed = new Promise((resolve) => {
      this.resolveClosed = resolve;
    });
    void this.keepOpen();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.resolveClosed();
    this.drop(false);
    await this.handling;
  }

  private async keepOpen(): Promise<void> {
    while (!this.isClosed) {
      const reason = await this.followOnce();
      this.drop(false);
      if (this.isClosed) return;
      const delayMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** Math.min(this.failures, 10));
      this.failures += 1;
      this.options.host.log.warn('subscription interrupted', { subscription: this.options.what, reason, delayMs });
      await Promise.race([delay(this.options.host, delayMs), this.closed]);
    }
  }

  /** @returns why it ended */
  private async followOnce(): Promise<string> {
    try {
      const request = await this.options.request();
      if (this.isClosed) return 'closed';
      this.held = this.options.pool.hold();
      const call = await this.withDeadline(this.held.connection.read(request));
      return await this.consume(call);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  private withDeadline(opening: Promise<Call>): Promise<Call> {
    return new Promise((resolve, reject) => {
      this.cancelDeadline = this.options.host.timers.after(CONFIRMATION_DEADLINE_MS, () => {
        this.drop(true);
        reject(new Error('The server did not confirm the subscription in time.'));
      });
      opening.then(resolve, reject);
    });
  }

  private consume(call: Call): Promise<string> {
    if (this.isClosed) {
      call.on('error', () => undefined);
      call.cancel();
      return Promise.resolve('closed');
    }
    this.call = call;
    return new Promise((resolve) => {
      const end = (reason: string): void => {
        if (this.call === call) this.drop(false);
        resolve(reason);
      };
      // The listeners stay after the end: a late error without one would end the process.
      call.on('error', (error) => end(error.message));
      call.on('end', () => end('The server ended the subscription.'));
      call.on('close', () => end('The subscription was closed.'));
      call.on('data', (bytes) => {
        if (this.call !== call) return;
        try {
          const handled = this.handle(bytes);
          if (handled !== undefined) this.waitFor(handled, { call, end });
        } catch (error) {
          end(handlerFailed(error));
        }
      });
    });
  }

  /** The next message waits; a handler that fails gets the same one again, from a new subscription. */
  private waitFor(handled: Promise<void>, { call, end }: { readonly call: Call; readonly end: (reason: string) => void }): void {
    call.pause();
    const handling = handled.then(
      () => void call.resume(),
      (error: unknown) => end(handlerFailed(error)),
    );
    this.handling = handling;
  }

  private handle(bytes: Buffer): void | Promise<void> {
    const answer = decodeReadAnswer(bytes);
    switch (answer.kind) {
      case 'confirmed':
        this.cancelDeadline?.();
        return undefined;
      case 'event':
        this.failures = 0;
        return this.options.onEvent(answer.event);
      case 'checkpoint':
        this.failures = 0;
        return this.options.onCheckpoint(answer.position);
      case 'caught-up':
        return this.options.onCaughtUp();
      case 'stream-not-found':
      case 'other':
        return undefined;
    }
  }

  private drop(isBroken: boolean): void {
    this.cancelDeadline?.();
    this.cancelDeadline = undefined;
    const { call, held } = this;
    this.call = undefined;
    this.held = undefined;
    call?.cancel();
    held?.release({ isBroken });
  }
}

function handlerFailed(error: unknown): string {
  return `A handler failed: ${error instanceof Error ? error.message : String(error)}`;
}
