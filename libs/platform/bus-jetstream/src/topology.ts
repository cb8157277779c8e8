import { canonicalJson, delay, type Host } from '@perdure/kernel';
import { BROKER_CODE, BrokerRefused, type BrokerApi } from './broker-api';
import { TOPOLOGY_RETRY_MS } from './limits';
import type { Link } from './link';
import { wantedConsumer, wantedStreams, type WantedStream } from './streams';

const PERMANENT_FIELDS = new Set(['persist_mode']);

/**
 * Keeps the streams that we need in existence. The bus is a cache: wiped, it is simply made again.
 * Runs at the first connection, after each reconnection, and when somebody misses a stream.
 */
export class Topology {
  private ensuring: Promise<void> | undefined;

  constructor(
    private readonly api: BrokerApi,
    private readonly link: Link,
    private readonly options: { readonly host: Host; readonly replicas: number; readonly enabled: boolean },
  ) {
    if (options.enabled) link.onUp(() => void this.ensureEventually());
  }

  /** One attempt; several callers share it. */
  ensure(): Promise<void> {
    this.ensuring ??= this.ensureAll().finally(() => {
      this.ensuring = undefined;
    });
    return this.ensuring;
  }

  /** Tries until it has worked or the connection is lost; the next connection begins anew. */
  async ensureEventually(): Promise<void> {
    const { generation } = this.link;
    for (let warned = false; this.link.connected && this.link.generation === generation;) {
      try {
        return await this.ensure();
      } catch (error) {
        if (!warned) this.options.host.log.warn('The streams of the bus cannot be created yet', { error: String(error) });
        warned = true;
        await delay(this.options.host, TOPOLOGY_RETRY_MS);
      }
    }
  }

  async ensureConsumer(stream: string, consumer: { readonly name: string; readonly subject: string }): Promise<void> {
    await this.api.call(`CONSUMER.DURABLE.CREATE.${stream}.${consumer.name}`, {
      stream_name: stream,
      config: wantedConsumer(consumer.name, consumer.subject),
    });
  }

  private async ensureAll(): Promise<void> {
    await Promise.all(wantedStreams(this.options.replicas).map((wanted) => this.ensureStream(wanted)));
  }

  private async ensureStream(wanted: WantedStream): Promise<void> {
    const found = await this.configOf(wanted.name);
    if (found === undefined) await this.create(wanted);
    else await this.update(wanted, found);
  }

  private async configOf(name: string): Promise<Record<string, unknown> | undefined> {
    try {
      return (await this.api.call<{ config: Record<string, unknown> }>(`STREAM.INFO.${name}`)).config;
    } catch (error) {
      if (error instanceof BrokerRefused && error.brokerCode === BROKER_CODE.streamNotFound) return undefined;
      throw error;
    }
  }

  /** Not asked for blindly: the broker would reserve the bytes of an existing stream a second time, and may refuse. */
  private async create(wanted: WantedStream): Promise<void> {
    try {
      await this.api.call(`STREAM.CREATE.${wanted.name}`, wanted);
    } catch (error) {
      // Somebody else was first, perhaps with the bounds of another release.
      if (!(error instanceof BrokerRefused && error.brokerCode === BROKER_CODE.streamNameInUse)) throw error;
    }
  }

  /** Another release of ours made it with other bounds: bring it up to date, as far as the broker allows. */
  private async update(wanted: WantedStream, found: Record<string, unknown>): Promise<void> {
    const changes = Object.entries(wanted).filter(
      ([field, value]) => !PERMANENT_FIELDS.has(field) && !isSame(found[field], value),
    );
    if (changes.length > 0) await this.api.call(`STREAM.UPDATE.${wanted.name}`, { ...found, ...Object.fromEntries(changes) });
  }
}

/** The broker leaves out what is zero or false. */
function isSame(found: unknown, wanted: unknown): boolean {
  return canonicalJson(found ?? wanted) === canonicalJson(wanted);
}
