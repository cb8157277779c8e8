import type { Msg } from '@nats-io/transport-node';
import {
  BusUnavailable,
  MessageTooLarge,
  type Bus,
  type BusMessage,
  type Headers,
  type Host,
  type RequestOptions,
  type Subscription,
} from '@perdure/kernel';
import type { Link } from './link';
import { fromNatsHeaders, toNatsHeaders, type Requests } from './requests';
import { checkPattern, checkSubject, isInbox } from './subjects';

export interface BusLinks {
  readonly main: Link;
  /** Answers go out here: a connection without rights on JetStream, so that no reply subject can abuse ours. */
  readonly responder: Link;
}

/** At-most-once messages and request/reply on core NATS. */
export class JetStreamBus implements Bus {
  constructor(
    private readonly links: BusLinks,
    private readonly requests: Requests,
    private readonly host: Pick<Host, 'log'>,
  ) {}

  async request(subject: string, payload: string, options: RequestOptions): Promise<string> {
    return (await this.requests.send(checkSubject(subject), payload, options)).string();
  }

  /** Dropped while there is no connection: a hint may be lost, and a late one is worse than none. */
  publish(subject: string, payload: string, headers?: Headers): void {
    checkSubject(subject);
    if (!this.links.main.connected) return;
    try {
      this.links.main.publish(subject, payload, headers === undefined ? undefined : { headers: toNatsHeaders(headers) });
    } catch (error) {
      if (error instanceof MessageTooLarge) throw error;
      throw new BusUnavailable(`The message on ${subject} could not be written.`, error);
    }
  }

  subscribe(subject: string, handler: (message: BusMessage) => void, options: { readonly queue?: string } = {}): Subscription {
    checkPattern(subject);
    const subscription = this.links.main.nc.subscribe(subject, {
      ...(options.queue === undefined ? {} : { queue: checkSubject(options.queue) }),
      callback: (error, message) => {
        if (error !== null) this.host.log.error('The broker refuses a subscription', { subject, error: error.message });
        else this.deliver(message, handler);
      },
    });
    return {
      close: async () => subscription.unsubscribe(),
    };
  }

  onReconnect(listener: () => void): Subscription {
    const remove = this.links.main.onUp(listener);
    return { close: async () => remove() };
  }

  private deliver(message: Msg, handler: (message: BusMessage) => void): void {
    try {
      handler(new JetStreamMessage(message, this.links.responder, this.host));
    } catch (error) {
      this.host.log.error('A bus handler failed', { subject: message.subject, error: String(error) });
    }
  }
}

class JetStreamMessage implements BusMessage {
  readonly wantsReply: boolean;

  constructor(
    private readonly message: Msg,
    private readonly responder: Link,
    private readonly host: Pick<Host, 'log'>,
  ) {
    this.wantsReply = message.reply !== undefined && message.reply !== '';
  }

  get subject(): string {
    return this.message.subject;
  }

  get payload(): string {
    return this.message.string();
  }

  get headers(): Headers {
    return fromNatsHeaders(this.message.headers);
  }

  respond(payload: string): void {
    const reply = this.message.reply;
    if (reply === undefined || reply === '') return;
    if (!isInbox(reply)) {
      this.host.log.warn('Refused to answer outside the private inboxes', { subject: this.subject, reply: reply.slice(0, 120) });
      return;
    }
    if (!this.responder.connected) return;
    try {
      this.responder.publish(reply, payload);
    } catch (error) {
      this.host.log.error('An answer could not be written', { subject: this.subject, error: String(error) });
    }
  }
}
