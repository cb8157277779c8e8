/**
 * Pulls the deliveries of one durable consumer, never more than this process can handle at once.
 *
 * 1. free = concurrency − under way − asked for. Nothing is pulled beyond it, so no delivery waits here unseen.
 * 2. While deliveries are asked for, the broker sends heartbeats; silence means that consumer, stream or JetStream
 *    is gone. Then, as after each reconnection, everything asked for is forgotten, stream and consumer are made
 *    again if they are missing, and pulling starts anew.
 * 3. A delivery that arrives late, from before such a start, is handled if there is room and handed back otherwise.
 */
import type { Msg } from '@nats-io/transport-node';
import { delay, type Cancel, type Host, type Subscription } from '@perdure/kernel';
import { PULL_EXPIRES_MS, PULL_HEARTBEAT_MS, PULL_SILENCE_MAX_MS, TOPOLOGY_RETRY_MS } from './limits';
import type { Link } from './link';
import { nanos } from './streams';

export interface PullParts {
  readonly link: Link;
  readonly host: Host;
  readonly inbox: string;
  readonly stream: string;
  readonly consumer: string;
  readonly concurrency: number;
  /** Makes stream and consumer if they are missing. */
  prepare(): Promise<void>;
  /** Never rejects; resolves when the delivery has ended in one way or another. */
  handle(message: Msg): Promise<void>;
}

export class PullConsumer implements Subscription {
  private readonly asked = new Map<string, number>();
  private readonly close$: (() => void)[] = [];
  private underWay = 0;
  private askedTotal = 0;
  private serial = 0;
  private incarnation = 0;
  private lastHeardMs = 0;
  private stopped = false;
  private idle: (() => void) | undefined;
  private cancelWatchdog: Cancel = () => undefined;

  constructor(private readonly parts: PullParts) {
    const subscription = parts.link.nc.subscribe(`${parts.inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.onMessage(message);
      },
    });
    this.close$.push(() => subscription.unsubscribe());
    this.close$.push(parts.link.onUp(() => void this.start()));
    void this.start();
    this.armWatchdog();
  }

  /** Pulls no more and waits until what is under way has ended. */
  async close(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.cancelWatchdog();
    if (this.underWay > 0) await new Promise<void>((resolve) => (this.idle = resolve));
    for (const step of this.close$) step();
  }

  private async start(): Promise<void> {
    this.incarnation += 1;
    const { incarnation } = this;
    this.asked.clear();
    this.askedTotal = 0;
    for (let warned = false; !this.stopped && !this.parts.link.closed && incarnation === this.incarnation;) {
      try {
        await this.parts.prepare();
        break;
      } catch (error) {
        if (!warned)
          this.parts.host.log.warn('A consumer cannot be created yet', { consumer: this.parts.consumer, error: String(error) });
        warned = true;
        await delay(this.parts.host, TOPOLOGY_RETRY_MS);
      }
    }
    if (incarnation === this.incarnation) this.pull();
  }

  private pull(): void {
    const { concurrency, stream, consumer, inbox, link } = this.parts;
    const free = concurrency - this.underWay - this.askedTotal;
    const worthwhile = this.askedTotal === 0 ? 1 : Math.ceil(concurrency / 4);
    if (this.stopped || !link.connected || free < worthwhile) return;
    this.serial += 1;
    const id = `${this.incarnation}-${this.serial}`;
    const request = { batch: free, expires: nanos(PULL_EXPIRES_MS), idle_heartbeat: nanos(PULL_HEARTBEAT_MS) };
    this.asked.set(id, free);
    this.askedTotal += free;
    this.lastHeardMs = this.parts.host.clock.monotonicMs();
    link.publish(`$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify(request), { reply: `${inbox}.${id}` });
  }

  private onMessage(message: Msg): void {
    this.lastHeardMs = this.parts.host.clock.monotonicMs();
    const isDelivery = message.reply?.startsWith('$JS.ACK.') === true;
    if (isDelivery) this.deliver(message);
    else this.onStatus(message);
  }

  private deliver(message: Msg): void {
    // The broker delivers under the message's own subject: which pull it answers does not matter.
    this.forgetOne();
    if (this.stopped || this.underWay >= this.parts.concurrency) {
      this.parts.link.publish(message.reply ?? '', '-NAK');
      return;
    }
    this.underWay += 1;
    void this.parts.handle(message).finally(() => {
      this.underWay -= 1;
      if (this.stopped && this.underWay === 0) this.idle?.();
      this.pull();
    });
  }

  private forgetOne(): void {
    for (const [id, rest] of this.asked) {
      if (rest === 1) this.asked.delete(id);
      else this.asked.set(id, rest - 1);
      this.askedTotal -= 1;
      return;
    }
  }

  private onStatus(message: Msg): void {
    const id = message.subject.slice(this.parts.inbox.length + 1);
    const code = message.headers?.code ?? 0;
    const text = message.headers?.description ?? '';
    if (code === 100 || !this.asked.has(id)) return;
    this.askedTotal -= this.asked.get(id) ?? 0;
    this.asked.delete(id);
    if (code === 503 || (code === 409 && /consumer (deleted|is push)/i.test(text))) void this.start();
    else if (code === 408 || code === 404) this.pull();
    else this.parts.host.timers.after(TOPOLOGY_RETRY_MS, () => this.pull());
  }

  private armWatchdog(): void {
    this.cancelWatchdog = this.parts.host.timers.after(PULL_HEARTBEAT_MS, () => {
      if (this.stopped || this.parts.link.closed) return;
      const silent = this.parts.host.clock.monotonicMs() - this.lastHeardMs > PULL_SILENCE_MAX_MS;
      if (silent && this.askedTotal > 0 && this.parts.link.connected) void this.start();
      this.armWatchdog();
    });
  }
}
