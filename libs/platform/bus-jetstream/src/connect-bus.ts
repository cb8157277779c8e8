import { delay, token, type Bus, type CommandBus, type FactBus, type Host, type KeyValue } from '@perdure/kernel';
import { BrokerApi } from './broker-api';
import { JetStreamBus } from './jetstream-bus';
import { JetStreamCommandBus } from './jetstream-command-bus';
import { JetStreamFactBus } from './jetstream-fact-bus';
import { JetStreamKeyValue } from './jetstream-key-value';
import { TOPOLOGY_RETRY_MS } from './limits';
import { Link, type LinkOptions } from './link';
import { Requests } from './requests';
import type { BrokerUser } from './server-config';
import { Topology } from './topology';

export interface ConnectBusOptions {
  readonly url: string;
  /** Shown by the broker, and reported by it when the connection ends. */
  readonly name: string;
  readonly user?: string;
  readonly pass?: string;
  /**
   * Answers go out over a second connection with these rights. Without it they share the first one, which is
   * right only for a client that has no rights on JetStream itself, such as a worker.
   */
  readonly responder?: BrokerUser;
  /** One token; the inboxes of the connection lie under `_INBOX.<inboxPrefix>`. */
  readonly inboxPrefix?: string;
  /** `core`: messages and requests only; no streams are created, for clients without rights on JetStream. */
  readonly use?: 'streams' | 'core';
  /** Copies of each stream in a cluster; 1 for the embedded broker. */
  readonly replicas?: number;
  readonly host: Host;
}

export interface BusConnection {
  readonly bus: Bus;
  readonly facts: FactBus;
  readonly commands: CommandBus;
  keyValue(bucket: string): KeyValue;
  readonly connected: boolean;
  readonly serverVersion: string;
  /** Waits until what was written so far has reached the broker. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Waits for the first connection, for ever. Later losses are survived by all parts.
 * @throws Terminal `BrokerTooOld`, BusUnavailable when the broker refuses the credentials
 */
export async function connectBus(options: ConnectBusOptions): Promise<BusConnection> {
  const { url, name, host, responder } = options;
  const main = await Link.dial({ url, name, user: options.user, pass: options.pass, host });
  const answers = responder === undefined ? main : await dialBeside(main, { url, name: `${name}:answers`, ...responder, host });
  const publisher = token(options.inboxPrefix ?? host.entropy.uuid(), 'inbox prefix');
  const inbox = `_INBOX.${publisher}`;
  const requests = new Requests(main, inbox, host);
  const api = new BrokerApi(requests);
  const bus = new JetStreamBus({ main, responder: answers }, requests, host);
  const usesStreams = options.use !== 'core';
  const topology = new Topology(api, main, { host, replicas: options.replicas ?? 1, enabled: usesStreams });
  const facts = new JetStreamFactBus({ link: main, api, topology, publisher });
  if (usesStreams) {
    await makeReady(topology, facts, host);
  }
  return {
    bus,
    facts,
    commands: new JetStreamCommandBus({ link: main, requests, api, topology, host, inbox }),
    keyValue: (bucket) => new JetStreamKeyValue(bucket, { link: main, requests, api, topology, host, inbox }),
    get connected() {
      return main.connected;
    },
    serverVersion: main.nc.info?.version ?? '',
    flush: () => main.flush(),
    close: async () => {
      await main.close();
      if (answers !== main) await answers.close();
    },
  };
}

async function dialBeside(main: Link, options: LinkOptions): Promise<Link> {
  try {
    return await Link.dial(options);
  } catch (error) {
    await main.close();
    throw error;
  }
}

/** The broker may go away again in the middle. */
async function makeReady(topology: Topology, facts: JetStreamFactBus, host: Host): Promise<void> {
  for (;;) {
    try {
      await topology.ensureEventually();
      return await facts.open();
    } catch (error) {
      host.log.warn('The bus is not ready yet', { error: String(error) });
      await delay(host, TOPOLOGY_RETRY_MS);
    }
  }
}
