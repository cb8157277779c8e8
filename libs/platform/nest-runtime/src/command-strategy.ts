import { type CustomTransportStrategy, Server } from '@nestjs/microservices';
import { errorRecordOf, PerdureError, type Bus, type CommandBus, type Delivery, type Subscription } from '@perdure/kernel';
import { isObservable, lastValueFrom } from 'rxjs';

/**
 * Durable commands as a Nest transport.
 *
 * 1. A delivery is acknowledged after its handler has ended, never before.
 * 2. A retryable error brings it back later; a terminal one, or a message that cannot be read, goes to the dead
 *    letters: it never blocks another.
 * 3. An error that is not one of ours may be a bug or a passing fault: it is tried again, but not for ever.
 * 4. The answer goes to the inbox named in the message's own header, if it names one. Sending it never fails a command
 *    that has been handled.
 */

const RETRY_MS = 100;
const RETRY_MS_MAX = 10_000;
/** Attempts at a command whose handler throws what nobody has foreseen: about half a minute. */
const UNFORESEEN_ATTEMPTS_MAX = 8;
const CONCURRENCY = 64;
/** What parsing throws: the same message will never be read. */
const UNREADABLE = ['SyntaxError', 'ZodError'];
/** Where the publisher of a command wants its answer: an inbox of its own. */
export const REPLY_HEADER = 'perdure-reply';
const INBOX = /^_INBOX(\.[A-Za-z0-9_-]{1,64}){1,4}$/;

export interface CommandStrategyOptions {
  readonly commands: CommandBus;
  readonly bus: Bus;
  /** Names the durable consumer; instances of one service share it. */
  readonly consumer: string;
}

/** What a handler gets beside the payload. */
export interface CommandContext {
  readonly subject: string;
  readonly attempt: number;
}

type Handler = (payload: string, context: CommandContext) => Promise<unknown>;

export class CommandStrategy extends Server implements CustomTransportStrategy {
  private readonly subscriptions: Subscription[] = [];

  constructor(private readonly options: CommandStrategyOptions) {
    super();
  }

  listen(callback: (error?: unknown) => void): void {
    try {
      for (const [subject, handler] of this.messageHandlers)
        this.consume(subject, async (payload, context) => unwrap(await handler(payload, context)));
      callback();
    } catch (error) {
      callback(error);
    }
  }

  async close(): Promise<void> {
    for (const subscription of this.subscriptions.splice(0)) await subscription.close();
  }

  on(): void {
    // Nothing of this transport is told by events: the bus reconnects and heals by itself.
  }

  unwrap<T>(): T {
    return this.options.commands as T;
  }

  private consume(subject: string, handler: Handler): void {
    const consumer = { name: this.options.consumer, subject, concurrency: CONCURRENCY };
    this.subscriptions.push(this.options.commands.consume(consumer, (delivery) => this.handle(delivery, handler)));
  }

  private async handle(delivery: Delivery, handler: Handler): Promise<void> {
    const { subject, attempt, payload } = delivery;
    try {
      const answer = await handler(payload, { subject, attempt });
      this.reply(delivery, answer);
      await delivery.ack();
    } catch (error) {
      await this.fail(delivery, error);
    }
  }

  private async fail(delivery: Delivery, error: unknown): Promise<void> {
    const record = errorRecordOf(error);
    if (isWorthAnother(error, delivery.attempt)) {
      delivery.retryLater(record.retryAfterMs ?? Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** Math.min(delivery.attempt - 1, 10)));
      return;
    }
    this.reply(delivery, { ok: false, error: record });
    await delivery.deadLetter(`${record.code}: ${record.message}`);
  }

  private reply({ headers }: Delivery, answer: unknown): void {
    const inbox = headers[REPLY_HEADER];
    if (inbox === undefined || !INBOX.test(inbox)) return;
    try {
      this.options.bus.publish(inbox, JSON.stringify(answer ?? null));
    } catch (error) {
      this.logger.error(`An answer could not be sent: ${String(error)}`);
    }
  }
}

function isWorthAnother(error: unknown, attempt: number): boolean {
  if (error instanceof PerdureError) return error.reaction === 'retryable';
  return attempt < UNFORESEEN_ATTEMPTS_MAX && !(error instanceof Error && UNREADABLE.includes(error.name));
}

async function unwrap(result: unknown): Promise<unknown> {
  return isObservable(result) ? lastValueFrom(result, { defaultValue: undefined }) : result;
}
