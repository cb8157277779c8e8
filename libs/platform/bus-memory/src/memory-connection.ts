import {
  BusUnavailable,
  NoResponders,
  refuseTooLarge,
  RequestTimedOut,
  Terminal,
  type Bus,
  type BusMessage,
  type CommandBus,
  type Delivery,
  type FactBus,
  type Headers,
  type KeyValue,
  type OutgoingFact,
  type RequestOptions,
  type Subscription,
} from '@perdure/kernel';
import type { MemoryBroker, Registration } from './memory-broker';
import { MemoryKeyValue } from './memory-key-value';
import { mapped } from './subject-pattern';

const SUBJECT = /^[A-Za-z0-9_$-]{1,128}(\.[A-Za-z0-9_$=-]{1,128}){0,15}$/;
const PATTERN = /^([A-Za-z0-9_$-]{1,128}|\*)(\.([A-Za-z0-9_$=-]{1,128}|\*)){0,15}(\.>)?$/;

/** All ports of one process. `disconnect` is its death: nothing of it resolves or is delivered any more. */
export class MemoryConnection {
  readonly bus: Bus;
  readonly facts: FactBus;
  readonly commands: CommandBus;
  private readonly reconnectListeners = new Set<() => void>();
  private readonly lost = new Set<(error: Error) => void>();
  private alive = true;
  /** Why what was published since the last confirmation may be lost. */
  private doubt: string | undefined;
  private unconfirmed = 0;

  constructor(
    private readonly broker: MemoryBroker,
    readonly name: string,
  ) {
    this.bus = {
      request: async (subject, payload, options) => this.request(check(SUBJECT, subject), whole(subject, payload), options),
      publish: (subject, payload, headers) => this.publish(check(SUBJECT, subject), whole(subject, payload), headers),
      subscribe: (pattern, handler, options) => this.subscribe(check(PATTERN, pattern), handler, options),
      onReconnect: (listener) => {
        this.reconnectListeners.add(listener);
        return { close: async () => void this.reconnectListeners.delete(listener) };
      },
    };
    this.facts = { publish: (facts) => this.publishFacts(facts), confirm: () => this.confirm() };
    this.commands = {
      publish: async (subject, payload, options) =>
        this.publishCommand(check(SUBJECT, subject), whole(subject, payload), options),
      consume: (consumer, handler) => this.consume(consumer, handler),
    };
  }

  keyValue(bucket: string): KeyValue {
    return new MemoryKeyValue(this.broker, bucket, () => this.alive);
  }

  /** The process is killed. */
  disconnect(): void {
    this.alive = false;
    this.lost.clear();
    this.broker.forget(this);
  }

  close(): Promise<void> {
    this.disconnect();
    return Promise.resolve();
  }

  /** Called by the broker: the connection was lost and is back. */
  reconnected(): void {
    if (this.unconfirmed > 0) this.doubt = 'the connection was lost';
    for (const fail of [...this.lost])
      fail(new BusUnavailable('The connection to the broker was lost; the request may have been handled.'));
    for (const listener of this.reconnectListeners) listener();
  }

  private request(subject: string, payload: string, { timeoutMs }: RequestOptions): Promise<string> {
    return new Promise((resolve, reject) => {
      const settle = (end: () => void): void => {
        cancel();
        this.lost.delete(fail);
        if (this.alive) end();
      };
      const fail = (error: Error): void => settle(() => reject(error));
      const cancel = this.broker.timers.after(timeoutMs, () => fail(new RequestTimedOut(subject, timeoutMs)));
      this.lost.add(fail);
      this.broker.carry({ kind: 'request', subject, payload, from: this.name }, () => {
        const receivers = this.broker.receivers(mapped(subject));
        if (receivers.length === 0) fail(new NoResponders(subject));
        for (const receiver of receivers) {
          this.deliver(receiver, { subject: mapped(subject), payload, headers: {} }, (answer) => settle(() => resolve(answer)));
        }
      });
    });
  }

  private publish(subject: string, payload: string, headers: Headers = {}): void {
    if (!this.alive) return;
    this.broker.carry({ kind: 'message', subject, payload, from: this.name }, () =>
      this.spread(mapped(subject), payload, headers),
    );
  }

  private spread(subject: string, payload: string, headers: Headers): void {
    for (const receiver of this.broker.receivers(subject)) this.deliver(receiver, { subject, payload, headers }, undefined);
  }

  private deliver(
    to: Registration,
    message: Pick<BusMessage, 'subject' | 'payload' | 'headers'>,
    answer: ((payload: string) => void) | undefined,
  ): void {
    if (!to.connection.alive) return;
    const respond = (payload: string): void => {
      if (answer === undefined || !to.connection.alive) return;
      this.broker.carry({ kind: 'answer', subject: message.subject, payload, from: to.connection.name }, () => answer(payload));
    };
    try {
      to.handler({ ...message, wantsReply: answer !== undefined, respond });
    } catch {
      // As in the real adapter, which logs it: one handler does not harm another.
    }
  }

  private subscribe(
    pattern: string,
    handler: (message: BusMessage) => void,
    options: { readonly queue?: string } = {},
  ): Subscription {
    const remove = this.broker.register({ connection: this, pattern, queue: options.queue, handler });
    return { close: async () => remove() };
  }

  private publishFacts(facts: readonly OutgoingFact[]): void {
    for (const fact of facts) {
      check(SUBJECT, fact.subject);
      if (!this.alive || this.doubt !== undefined) return;
      this.unconfirmed += 1;
      const { incarnation } = this.broker;
      const fate = this.broker.carry({ kind: 'fact', subject: fact.subject, payload: fact.payload, from: this.name }, () => {
        if (incarnation !== this.broker.incarnation) return;
        this.broker.store(fact);
        this.spread(fact.subject, fact.payload, fact.headers);
      });
      // TCP does not lose one message out of many: a fact that does not arrive means a lost connection.
      if (fate === 'drop') this.doubt = 'the connection was lost';
    }
  }

  private async confirm(): Promise<void> {
    await this.answer();
    const { doubt } = this;
    this.doubt = undefined;
    this.unconfirmed = 0;
    if (doubt !== undefined) throw new BusUnavailable(`Facts published last may be lost: ${doubt}.`);
  }

  private async publishCommand(
    subject: string,
    payload: string,
    options: { readonly messageId: string; readonly headers?: Headers },
  ): Promise<void> {
    const fate = this.broker.carry({ kind: 'command', subject, payload, from: this.name }, () => {
      this.broker.commands.store({
        subject: mapped(subject),
        payload,
        headers: { ...options.headers, 'Nats-Msg-Id': options.messageId },
        messageId: options.messageId,
      });
    });
    await this.answer();
    if (fate === 'drop')
      throw new BusUnavailable(`It is not known whether the command on ${subject} is stored; repeat it with the same id.`);
  }

  private consume(
    consumer: { readonly name: string; readonly subject: string; readonly concurrency: number },
    handler: (delivery: Delivery) => Promise<void>,
  ): Subscription {
    check(PATTERN, consumer.subject);
    const bury = (letter: { subject: string; payload: string; headers: Headers }): void =>
      void this.broker.deadLetters.push(letter);
    const remove = this.broker.commands.attach({ ...consumer, connection: this, handler, bury });
    return { close: remove };
  }

  /** The broker's answer arrives after what was sent before; to the dead it never does. */
  private async answer(): Promise<void> {
    await Promise.resolve();
    await Promise.resolve();
    if (!this.alive) await new Promise<never>(() => undefined);
  }
}

function check(form: RegExp, subject: string): string {
  if (form.test(subject)) return subject;
  throw new Terminal('InvalidSubject', `${JSON.stringify(subject.slice(0, 120))} is not a subject that may go to the bus.`);
}

function whole(subject: string, payload: string): string {
  refuseTooLarge(subject, payload);
  return payload;
}
