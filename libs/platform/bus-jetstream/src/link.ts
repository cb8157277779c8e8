import { connect, type NatsConnection, type PublishOptions } from '@nats-io/transport-node';
import { BusUnavailable, refuseTooLarge, Terminal, type Host } from '@perdure/kernel';
import {
  BROKER_VERSION_MIN,
  DIAL_TIMEOUT_MS,
  PINGS_UNANSWERED_MAX,
  PING_INTERVAL_MS,
  RECONNECT_JITTER_MS,
  RECONNECT_WAIT_MS,
} from './limits';

export interface LinkOptions {
  readonly url: string;
  /** Shown by the broker, and reported by it when the connection ends. */
  readonly name: string;
  readonly user?: string | undefined;
  readonly pass?: string | undefined;
  readonly host: Host;
}

interface Outgoing {
  readonly subject: string;
  readonly payload: string;
  readonly options: PublishOptions | undefined;
}

/**
 * One connection that never gives up. It tells when it goes down and comes back; what was written
 * around that moment may or may not have arrived.
 *
 * What is published in one turn of the event loop goes to the socket in one write: a system call for each message
 * costs more than all else that a message costs.
 */
export class Link {
  /** Goes up by one with each lost connection. */
  generation = 0;
  connected = true;
  /** We ended it ourselves; it does not come back. */
  closed = false;
  private readonly downListeners = new Set<() => void>();
  private readonly upListeners = new Set<() => void>();
  private outgoing: Outgoing[] = [];

  private constructor(
    readonly nc: NatsConnection,
    readonly host: Host,
  ) {
    void this.followStatus();
  }

  /** Waits for the first connection. @throws Terminal `BrokerTooOld`, BusUnavailable when the broker refuses us */
  static async dial(options: LinkOptions): Promise<Link> {
    const nc = await connect({
      servers: options.url.replace(/^nats:\/\//, ''),
      name: options.name,
      ...(options.user === undefined ? {} : { user: options.user, pass: options.pass ?? '' }),
      maxReconnectAttempts: -1,
      waitOnFirstConnect: true,
      reconnectTimeWait: RECONNECT_WAIT_MS,
      reconnectJitter: RECONNECT_JITTER_MS,
      pingInterval: PING_INTERVAL_MS,
      maxPingOut: PINGS_UNANSWERED_MAX,
      timeout: DIAL_TIMEOUT_MS,
      noAsyncTraces: true,
    }).catch((error: unknown) => {
      throw new BusUnavailable(`The broker at ${options.url} refuses the connection "${options.name}".`, error);
    });
    const link = new Link(nc, options.host);
    const found = nc.info?.version ?? '0';
    if (isTooOld(found)) {
      await link.close();
      throw new Terminal(
        'BrokerTooOld',
        `The broker at ${options.url} is nats-server ${found}; ${BROKER_VERSION_MIN.join('.')} or newer is needed, because older ones ignore options that durability rests on. Update it.`,
        { details: { found, needed: BROKER_VERSION_MIN.join('.') } },
      );
    }
    return link;
  }

  onDown(listener: () => void): () => void {
    this.downListeners.add(listener);
    return () => this.downListeners.delete(listener);
  }

  onUp(listener: () => void): () => void {
    this.upListeners.add(listener);
    return () => this.upListeners.delete(listener);
  }

  /** In order with everything else that is published here. @throws MessageTooLarge, Error when the connection is closed */
  publish(subject: string, payload: string, options?: PublishOptions): void {
    refuseTooLarge(subject, payload, this.nc.info?.max_payload);
    if (this.closed) throw new Error('The connection is closed.');
    this.outgoing.push({ subject, payload, options });
    if (this.outgoing.length === 1) setImmediate(() => this.write());
  }

  /** Everything published so far has reached the broker. */
  async flush(): Promise<void> {
    this.write();
    await this.nc.flush();
  }

  async close(): Promise<void> {
    this.write();
    this.connected = false;
    this.closed = true;
    await this.nc.close();
  }

  private write(): void {
    const { outgoing } = this;
    this.outgoing = [];
    for (const { subject, payload, options } of outgoing) {
      try {
        this.nc.publish(subject, payload, options);
      } catch (error) {
        // Only a connection that was closed underneath: like any message around that moment, it may be lost.
        this.host.log.warn('A message was not written', { subject, error: String(error) });
      }
    }
  }

  private async followStatus(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === 'disconnect') this.goDown();
      else if (status.type === 'reconnect') this.comeUp();
      else if (status.type === 'error') this.host.log.error('The broker reports an error', { error: status.error.message });
    }
    this.goDown();
  }

  private goDown(): void {
    this.connected = false;
    this.generation += 1;
    for (const listener of this.downListeners) listener();
  }

  private comeUp(): void {
    this.connected = true;
    for (const listener of this.upListeners) listener();
  }
}

export function isTooOld(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin, minorMin] = BROKER_VERSION_MIN;
  return !(major > majorMin || (major === majorMin && minor >= minorMin));
}
