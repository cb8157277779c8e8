import type { Msg } from '@nats-io/transport-node';
import {
  BusUnavailable,
  MessageTooLarge,
  Retryable,
  type CommandBus,
  type Delivery,
  type Headers,
  type Host,
  type Subscription,
} from '@perdure/kernel';
import { BROKER_CODE, BrokerRefused, isMissing, type BrokerApi } from './broker-api';
import { BROKER_TIMEOUT_MS, COMMAND_RETRY_FIRST_MS, COMMAND_RETRY_MAX_MS, COMMAND_WORKING_INTERVAL_MS } from './limits';
import type { Link } from './link';
import { PullConsumer } from './pull-consumer';
import { fromNatsHeaders, type Requests } from './requests';
import { COMMANDS_STREAM, nanos } from './streams';
import { checkPattern, checkSubject, deadLetterSubject } from './subjects';
import type { Topology } from './topology';

export interface CommandBusParts {
  readonly link: Link;
  readonly requests: Requests;
  readonly api: BrokerApi;
  readonly topology: Topology;
  readonly host: Host;
  readonly inbox: string;
}

/** The queue is at its bound: the publisher waits, it is never dropped silently. */
export class CommandQueueFull extends Retryable {
  constructor(subject: string) {
    super('CommandQueueFull', 'Too many commands are waiting to be handled. Try again later.', {
      details: { subject },
      retryAfterMs: 1_000,
    });
  }
}

/** Durable commands on the work queue `COMMANDS`. A message that cannot be handled never blocks another. */
export class JetStreamCommandBus implements CommandBus {
  private consumers = 0;

  constructor(private readonly parts: CommandBusParts) {}

  async publish(
    subject: string,
    payload: string,
    options: { readonly messageId: string; readonly headers?: Headers },
  ): Promise<void> {
    checkSubject(subject);
    const headers = { ...options.headers, 'Nats-Msg-Id': options.messageId };
    try {
      await this.parts.api.store(subject, payload, headers).catch(async (error: unknown) => {
        if (!isMissing(error)) throw error;
        await this.parts.topology.ensure();
        return this.parts.api.store(subject, payload, headers);
      });
    } catch (error) {
      if (error instanceof BrokerRefused && BROKER_CODE.streamFull.some((code) => code === error.brokerCode))
        throw new CommandQueueFull(subject);
      if (error instanceof MessageTooLarge) throw error;
      throw new BusUnavailable(`It is not known whether the command on ${subject} is stored; repeat it with the same id.`, error);
    }
  }

  consume(
    consumer: { readonly name: string; readonly subject: string; readonly concurrency: number },
    handler: (delivery: Delivery) => Promise<void>,
  ): Subscription {
    const { topology, link, host, inbox } = this.parts;
    const { name, subject, concurrency } = consumer;
    checkSubject(name);
    checkPattern(subject);
    this.consumers += 1;
    return new PullConsumer({
      link,
      host,
      inbox: `${inbox}.c${this.consumers}`,
      stream: COMMANDS_STREAM,
      consumer: name,
      concurrency,
      prepare: async () => {
        await topology.ensure();
        await topology.ensureConsumer(COMMANDS_STREAM, consumer);
      },
      handle: (message) => this.handle(new JetStreamDelivery(message, name, this.parts), handler),
    });
  }

  private async handle(delivery: JetStreamDelivery, handler: (delivery: Delivery) => Promise<void>): Promise<void> {
    delivery.startWorking();
    try {
      await handler(delivery);
      if (!delivery.ended) throw new Retryable('DeliveryNotEnded', 'The handler returned without ending its delivery.');
    } catch (error) {
      this.parts.host.log.warn('A command will be tried again', {
        subject: delivery.subject,
        attempt: delivery.attempt,
        error: String(error),
      });
      delivery.retryLater(retryDelayMs(delivery.attempt));
    } finally {
      delivery.stopWorking();
    }
  }
}

/** Doubles from a first delay to a bound, with the number of the attempt. */
export function retryDelayMs(attempt: number): number {
  return Math.min(COMMAND_RETRY_MAX_MS, COMMAND_RETRY_FIRST_MS * 2 ** Math.min(attempt - 1, 20));
}

class JetStreamDelivery implements Delivery {
  readonly subject: string;
  readonly headers: Headers;
  readonly attempt: number;
  private readonly streamSequence: number;
  ended = false;
  private cancelWorking: () => void = () => undefined;

  constructor(
    private readonly message: Msg,
    private readonly consumer: string,
    private readonly parts: CommandBusParts,
  ) {
    this.subject = message.subject;
    this.headers = fromNatsHeaders(message.headers);
    const { delivered, streamSequence } = parseAckSubject(message.reply ?? '');
    this.attempt = delivered;
    this.streamSequence = streamSequence;
  }

  get payload(): string {
    return this.message.string();
  }

  async ack(): Promise<void> {
    await this.end('+ACK');
  }

  retryLater(delayMs: number): void {
    if (this.ended) return;
    this.ended = true;
    this.tell(`-NAK ${JSON.stringify({ delay: nanos(Math.max(1, Math.round(delayMs))) })}`);
  }

  async deadLetter(reason: string): Promise<void> {
    const original = Object.entries(this.headers).filter(([name]) => !name.startsWith('Nats-'));
    await this.parts.api.store(deadLetterSubject.build(this.subject), this.payload, {
      ...Object.fromEntries(original),
      // A repeated copy, after an unanswered one, is recognised by the broker.
      'Nats-Msg-Id': `${this.headers['Nats-Msg-Id'] ?? this.streamSequence}:dead`,
      'perdure-dead-reason': reason.slice(0, 500),
      'perdure-dead-consumer': this.consumer,
      'perdure-dead-attempt': String(this.attempt),
    });
    await this.end('+TERM');
  }

  startWorking(): void {
    this.cancelWorking = this.parts.host.timers.after(COMMAND_WORKING_INTERVAL_MS, () => {
      this.tell('+WPI');
      this.startWorking();
    });
  }

  stopWorking(): void {
    this.cancelWorking();
  }

  /** Acknowledged by the broker. Without its answer the command comes again, and its handler answers as before. */
  private async end(verdict: '+ACK' | '+TERM'): Promise<void> {
    if (this.ended) return;
    this.ended = true;
    await this.parts.requests
      .send(this.message.reply ?? '', verdict, { timeoutMs: BROKER_TIMEOUT_MS })
      .catch((error: unknown) => {
        this.parts.host.log.warn('The end of a command is not acknowledged, it may come again', {
          subject: this.subject,
          error: String(error),
        });
      });
  }

  private tell(verdict: string): void {
    if (this.parts.link.connected) this.parts.link.publish(this.message.reply ?? '', verdict);
  }
}

/** `$JS.ACK.<stream>.<consumer>.<delivered>.<stream sequence>…`, in the newer form after domain and account. */
function parseAckSubject(reply: string): { delivered: number; streamSequence: number } {
  const tokens = reply.split('.');
  const first = tokens.length > 9 ? 6 : 4;
  return { delivered: Number(tokens[first] ?? 1), streamSequence: Number(tokens[first + 1] ?? 0) };
}
