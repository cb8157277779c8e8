/**
 * Publishes facts without waiting, and proves afterwards that they are stored.
 *
 * Boundary: one publisher on one connection; who publishes what, and from where again, is its caller's business.
 *
 * 1. Facts are written in the order given, each with its message id; the broker drops a repeated id.
 * 2. The broker takes in the messages of one connection to one stream in the order in which they were written.
 *    So an acknowledged *marker*, written after the facts, proves that the stream has processed them.
 * 3. That proof holds only if nothing was lost on the way: the connection was never down between the first
 *    unproven fact and the marker's answer (`generation`), and the stream was never made anew in between
 *    (its time of creation is known from before the first fact, and read again after the answer).
 * 4. The marker is really stored (a rolled-up message of its own subject). A marker that the broker merely
 *    recognised as a repeat would be acknowledged even while it can store nothing.
 * 5. The broker drops what exceeds its queue of a stream, without a word. So at most FACTS_IN_FLIGHT_MAX facts are
 *    written after the last answered marker; the rest waits here, in order, for the next one.
 * 6. Whatever breaks one of these makes the next `confirm` fail, once. The caller publishes again from the last
 *    confirmed fact, and the proof starts from nothing.
 *
 * Stored means: survives the end of the broker's process. `EVENTS` does not wait for the disk, so a power loss may
 * take what was confirmed in the last seconds (the broker's operating system decides); the log has it all.
 */
import { BusUnavailable, type FactBus, type OutgoingFact } from '@perdure/kernel';
import { isMissing, type BrokerApi } from './broker-api';
import { FACTS_IN_FLIGHT_MAX, FACTS_WAITING_MAX } from './limits';
import type { Link } from './link';
import { toNatsHeaders } from './requests';
import { EVENTS_STREAM } from './streams';
import { checkSubject } from './subjects';
import type { Topology } from './topology';

export interface FactBusParts {
  readonly link: Link;
  readonly api: BrokerApi;
  readonly topology: Topology;
  /** One token, unique for the connection: names the marker. */
  readonly publisher: string;
}

export class JetStreamFactBus implements FactBus {
  private readonly waiting: OutgoingFact[] = [];
  private written = 0;
  private proven = 0;
  /** Why what was published since the last confirmation may be lost. */
  private doubt: { readonly reason: string; readonly cause?: unknown } | undefined;
  /** Goes up by one with each failed confirmation. */
  private epoch = 0;
  private streamCreated: string | undefined;
  private barrier: Promise<void> | undefined;

  constructor(private readonly parts: FactBusParts) {
    parts.link.onDown(() => {
      if (this.written > this.proven || this.waiting.length > 0) this.doubtAll('the connection was lost');
    });
  }

  /** Learns which incarnation of the stream the first facts will meet. */
  async open(): Promise<void> {
    this.streamCreated = await this.readCreated();
  }

  publish(facts: readonly OutgoingFact[]): void {
    for (const fact of facts) {
      checkSubject(fact.subject);
      // In doubt nothing more is sent: the caller will begin again before it.
      if (this.doubt !== undefined) return;
      if (this.waiting.length > 0 || this.written - this.proven >= FACTS_IN_FLIGHT_MAX) this.enqueue(fact);
      else this.write(fact);
    }
  }

  async confirm(): Promise<void> {
    const { epoch } = this;
    const target = this.written + this.waiting.length;
    this.throwIfInDoubt(epoch);
    while (this.proven < target) {
      await this.passBarrier();
      this.throwIfInDoubt(epoch);
    }
  }

  private throwIfInDoubt(epoch: number): void {
    if (this.epoch !== epoch) throw new BusUnavailable('Facts published last may be lost; another confirmation has said why.');
    if (this.doubt === undefined) return;
    const { reason, cause } = this.doubt;
    this.epoch += 1;
    this.doubt = undefined;
    this.waiting.length = 0;
    this.proven = this.written;
    throw new BusUnavailable(`Facts published last may be lost: ${reason}.`, cause);
  }

  private doubtAll(reason: string, cause?: unknown): void {
    this.doubt ??= { reason, cause };
  }

  private enqueue(fact: OutgoingFact): void {
    if (this.waiting.length >= FACTS_WAITING_MAX) {
      this.doubtAll(`more than ${FACTS_WAITING_MAX} facts were waiting for the broker`);
      return;
    }
    this.waiting.push(fact);
    if (this.barrier === undefined) void this.passBarrier();
  }

  private write(fact: OutgoingFact): void {
    if (!this.parts.link.connected) {
      this.doubtAll('there was no connection');
      return;
    }
    try {
      this.parts.link.publish(fact.subject, fact.payload, {
        headers: toNatsHeaders(fact.headers, { 'Nats-Msg-Id': fact.messageId }),
      });
      this.written += 1;
    } catch (error) {
      this.doubtAll('a fact could not be written', error);
    }
  }

  /** Waits for the barrier under way, then for one that lies behind everything written so far. Never rejects. */
  private async passBarrier(): Promise<void> {
    while (this.barrier !== undefined) await this.barrier;
    this.barrier = this.prove();
    await this.barrier;
    this.barrier = undefined;
    if (this.doubt === undefined) this.writeWaiting();
  }

  private writeWaiting(): void {
    const room = Math.max(0, FACTS_IN_FLIGHT_MAX - (this.written - this.proven));
    for (const fact of this.waiting.splice(0, room)) this.write(fact);
    if (this.waiting.length > 0) void this.passBarrier();
  }

  private async prove(): Promise<void> {
    const { generation } = this.parts.link;
    const covered = this.written;
    try {
      await this.parts.api.store(`perdure.mark.${this.parts.publisher}`, '', { 'Nats-Rollup': 'sub' });
      const created = await this.readCreated();
      if (created !== this.streamCreated) this.doubtAll('the stream was made anew');
      else if (this.parts.link.generation !== generation) this.doubtAll('the connection was lost');
      else this.proven = Math.max(this.proven, covered);
      this.streamCreated = created;
    } catch (error) {
      this.doubtAll('the broker did not say that they are stored', error);
      if (isMissing(error)) void this.parts.topology.ensureEventually();
    }
  }

  private async readCreated(): Promise<string> {
    return (await this.parts.api.call<{ created: string }>(`STREAM.INFO.${EVENTS_STREAM}`)).created;
  }
}
