/**
 * Follows the keys of a bucket by an ephemeral consumer.
 *
 * 1. Each start delivers the last value of every key; what was known before and is not among them was deleted.
 * 2. A gap in the consumer's sequence, silence beyond its heartbeat, and a reconnection lead to a new start.
 * 3. A revision is reported once; a new start over an unchanged bucket reports nothing.
 */
import { AckPolicy, DeliverPolicy } from '@nats-io/jetstream';
import type { Msg } from '@nats-io/transport-node';
import { delay, type Cancel, type Host, type Subscription } from '@perdure/kernel';
import type { BrokerApi } from './broker-api';
import { TOPOLOGY_RETRY_MS, WATCH_HEARTBEAT_MS, WATCH_SILENCE_MAX_MS } from './limits';
import type { Link } from './link';
import { nanos } from './streams';
import type { Topology } from './topology';

export interface WatchParts {
  readonly link: Link;
  readonly host: Host;
  readonly api: BrokerApi;
  readonly topology: Topology;
  readonly inbox: string;
  readonly bucket: string;
  readonly keys: string;
  readonly onChange: (key: string, value: string | undefined, revision: number) => void;
}

export class KeyWatch implements Subscription {
  private readonly known = new Map<string, { readonly revision: number; readonly value: string }>();
  private unseen = new Set<string>();
  private snapshotLeft = 0;
  private incarnation = 0;
  private nextSequence = 1;
  private lastHeardMs = 0;
  private established = false;
  private closed = false;
  private cancelWatchdog: Cancel = () => undefined;
  private unsubscribe: () => void = () => undefined;
  private readonly removeListener: () => void;

  constructor(private readonly parts: WatchParts) {
    this.removeListener = parts.link.onUp(() => void this.start());
    void this.start();
    this.armWatchdog();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.cancelWatchdog();
    this.removeListener();
    this.unsubscribe();
  }

  private async start(): Promise<void> {
    this.incarnation += 1;
    this.established = false;
    const { incarnation } = this;
    while (!this.closed && !this.parts.link.closed && incarnation === this.incarnation) {
      try {
        await this.parts.topology.ensure();
        if (incarnation !== this.incarnation) return;
        await this.createConsumer();
        return;
      } catch {
        // The topology has logged why; the loop ends with the connection or the watch.
        await delay(this.parts.host, TOPOLOGY_RETRY_MS);
      }
    }
  }

  private async createConsumer(): Promise<void> {
    const { api, bucket, keys, host } = this.parts;
    const { incarnation } = this;
    const inbox = this.listen(incarnation);
    this.nextSequence = 1;
    this.unseen = new Set(this.known.keys());
    this.snapshotLeft = Number.POSITIVE_INFINITY;
    this.lastHeardMs = host.clock.monotonicMs();
    this.established = true;
    const { num_pending: pending = 0, delivered } = await api.call<{
      num_pending?: number;
      delivered?: { consumer_seq: number };
    }>(`CONSUMER.CREATE.KV_${bucket}`, {
      stream_name: `KV_${bucket}`,
      config: {
        deliver_subject: inbox,
        filter_subject: `$KV.${bucket}.${keys}`,
        deliver_policy: DeliverPolicy.LastPerSubject,
        ack_policy: AckPolicy.None,
        max_deliver: 1,
        mem_storage: true,
        num_replicas: 1,
        idle_heartbeat: nanos(WATCH_HEARTBEAT_MS),
        inactive_threshold: nanos(2 * WATCH_SILENCE_MAX_MS),
      },
    });
    if (incarnation !== this.incarnation) return;
    this.snapshotLeft = pending + (delivered?.consumer_seq ?? 0) - (this.nextSequence - 1);
    if (this.snapshotLeft <= 0) this.endSnapshot();
  }

  /** A subscription for each start: without it the broker drops the consumer of the start before. */
  private listen(incarnation: number): string {
    this.unsubscribe();
    const inbox = `${this.parts.inbox}-${incarnation}`;
    const subscription = this.parts.link.nc.subscribe(inbox, {
      callback: (error, message) => {
        if (error === null && !this.closed && incarnation === this.incarnation) this.onMessage(message);
      },
    });
    this.unsubscribe = () => subscription.unsubscribe();
    return inbox;
  }

  private onMessage(message: Msg): void {
    this.lastHeardMs = this.parts.host.clock.monotonicMs();
    const reply = message.reply ?? '';
    if (!reply.startsWith('$JS.ACK.')) return this.onHeartbeat(message);
    const tokens = reply.split('.');
    const first = tokens.length > 9 ? 6 : 4;
    const revision = Number(tokens[first + 1]);
    const sequence = Number(tokens[first + 2]);
    if (!this.established || tokens.length < first + 3) return;
    if (sequence !== this.nextSequence) return void this.start();
    this.nextSequence += 1;
    this.report(message, revision);
    this.snapshotLeft -= 1;
    if (this.snapshotLeft === 0) this.endSnapshot();
  }

  private onHeartbeat(message: Msg): void {
    const last = message.headers?.get('Nats-Last-Consumer');
    if (this.established && last !== undefined && last !== '' && Number(last) >= this.nextSequence) void this.start();
  }

  private report(message: Msg, revision: number): void {
    const key = message.subject.slice(`$KV.${this.parts.bucket}.`.length);
    const deleted = message.headers?.has('KV-Operation') === true;
    const value = message.string();
    const before = this.known.get(key);
    this.unseen.delete(key);
    if (deleted ? before === undefined : before?.revision === revision && before.value === value) return;
    if (deleted) this.known.delete(key);
    else this.known.set(key, { revision, value });
    this.parts.onChange(key, deleted ? undefined : value, revision);
  }

  private endSnapshot(): void {
    for (const key of this.unseen) {
      this.known.delete(key);
      this.parts.onChange(key, undefined, 0);
    }
    this.unseen.clear();
  }

  private armWatchdog(): void {
    this.cancelWatchdog = this.parts.host.timers.after(WATCH_HEARTBEAT_MS, () => {
      if (this.closed || this.parts.link.closed) return;
      const silent = this.parts.host.clock.monotonicMs() - this.lastHeardMs > WATCH_SILENCE_MAX_MS;
      if (silent && this.established && this.parts.link.connected) void this.start();
      this.armWatchdog();
    });
  }
}
