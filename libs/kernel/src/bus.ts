import type { Subscription } from './event-store';
import { Retryable, Terminal } from './errors';
import { fitsInto, utf8Bytes } from './text';

export type Headers = Readonly<Record<string, string>>;

/** All payloads are JSON text. */
export interface BusMessage {
  readonly subject: string;
  readonly payload: string;
  readonly headers: Headers;
  /** True when somebody waits for an answer. */
  readonly wantsReply: boolean;
  /** Goes to the asker over a connection that holds no broker rights; without asker it does nothing. */
  respond(payload: string): void;
}

export interface RequestOptions {
  readonly timeoutMs: number;
}

/** UTF-8 bytes that a bus carries in one message: whoever has more to say says it in several. */
export const MESSAGE_BYTES_MAX = 8 * 1024 * 1024;

/** At most once: a hint, or the hot path whose asker repeats until answered. */
export interface Bus {
  /** @throws NoResponders when nobody listens, RequestTimedOut when nobody answered in time, BusUnavailable, MessageTooLarge. */
  request(subject: string, payload: string, options: RequestOptions): Promise<string>;
  /** @throws MessageTooLarge, BusUnavailable */
  publish(subject: string, payload: string, headers?: Headers): void;
  /** `queue`: one member of the group gets each message. Subjects may hold wildcards. */
  subscribe(subject: string, handler: (message: BusMessage) => void, options?: { readonly queue?: string }): Subscription;
  /** Runs after each reconnection: what was published without confirmation around it may be lost. */
  onReconnect(listener: () => void): Subscription;
}

export interface OutgoingFact {
  readonly subject: string;
  readonly payload: string;
  readonly messageId: string;
  readonly headers: Headers;
}

/** The published form of the log: at least once, in order for each publisher. */
export interface FactBus {
  /** Returns at once; the facts go out in this order. */
  publish(facts: readonly OutgoingFact[]): void;
  /**
   * Resolves when everything published before is stored by the broker.
   * @throws BusUnavailable when that is not known: publish again from the last confirmed fact.
   */
  confirm(): Promise<void>;
}

/** One delivery of a durable message. Exactly one of ack, retryLater and deadLetter ends it. */
export interface Delivery {
  readonly subject: string;
  readonly payload: string;
  readonly headers: Headers;
  /** 1 for the first. */
  readonly attempt: number;
  ack(): Promise<void>;
  retryLater(delayMs: number): void;
  /** Stored in the dead-letter stream with the reason, then removed here: it blocks nothing. */
  deadLetter(reason: string): Promise<void>;
}

/** Durable commands: stored by the broker before `publish` resolves, kept until acknowledged. */
export interface CommandBus {
  publish(subject: string, payload: string, options: { readonly messageId: string; readonly headers?: Headers }): Promise<void>;
  /** `concurrency` bounds the deliveries under way; a handler that throws means retry later. */
  consume(
    consumer: { readonly name: string; readonly subject: string; readonly concurrency: number },
    handler: (delivery: Delivery) => Promise<void>,
  ): Subscription;
}

export interface KeyValueEntry {
  readonly key: string;
  readonly value: string;
  readonly revision: number;
}

/** Small shared state with compare-and-set: leases and the partition map. Never truth. */
export interface KeyValue {
  get(key: string): Promise<KeyValueEntry | undefined>;
  /** `expected` 0 = must not exist. Undefined = somebody else was first. */
  compareAndSet(key: string, value: string, expected: number): Promise<number | undefined>;
  put(key: string, value: string): Promise<number>;
  delete(key: string): Promise<void>;
  /** Present entries first, then changes; `undefined` value = deleted. Keys end in `.>` for a prefix. */
  watch(keys: string, onChange: (key: string, value: string | undefined, revision: number) => void): Subscription;
}

export class NoResponders extends Retryable {
  constructor(subject: string) {
    super('NoResponders', `Nobody answers on ${subject} at the moment; the request was not handled. Try again.`, {
      details: { subject },
    });
  }
}

export class RequestTimedOut extends Retryable {
  constructor(subject: string, timeoutMs: number) {
    super(
      'RequestTimedOut',
      `No answer on ${subject} within ${timeoutMs} ms; it may have been handled. Repeat it with the same id.`,
      {
        details: { subject, timeoutMs },
      },
    );
  }
}

export class BusUnavailable extends Retryable {
  constructor(message: string, cause?: unknown) {
    super('BusUnavailable', message, { cause });
  }
}

/** Not a byte of it was sent. */
export class MessageTooLarge extends Terminal {
  constructor(subject: string, bytes: number, bytesMax: number) {
    super(
      'MessageTooLarge',
      `The message on ${subject} has ${bytes} bytes; the bus carries ${bytesMax}. Send it in parts, or a reference to it.`,
      { details: { subject, bytes, bytesMax } },
    );
  }
}

/** @throws MessageTooLarge */
export function refuseTooLarge(subject: string, payload: string, bytesMax = MESSAGE_BYTES_MAX): void {
  if (!fitsInto(bytesMax, payload)) throw new MessageTooLarge(subject, utf8Bytes(payload), bytesMax);
}
