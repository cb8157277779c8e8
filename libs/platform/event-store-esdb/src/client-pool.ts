import { EventStoreDBClient } from '@eventstore/db-client';

/** A server lets one connection have 100 calls open; beyond that even appends wait for ever. */
export const SUBSCRIPTIONS_PER_CLIENT = 90;

const KEEPALIVE_MS = 10_000;
const KEEPALIVE_VARIANTS = 5_000;

let connectionsMade = 0;

/**
 * The client library shares one TCP connection among all clients of equal settings, and a connection
 * carries 100 calls: settings that differ by some milliseconds are what keeps connections apart.
 */
function distinctSettings(connectionString: string): string {
  connectionsMade += 1;
  const keepAliveMs = KEEPALIVE_MS + (connectionsMade % KEEPALIVE_VARIANTS);
  const [base = '', query = ''] = connectionString.split('?', 2);
  const kept = query.split('&').filter((part) => part !== '' && !/^keepAliveInterval=/i.test(part));
  return `${base}?${[...kept, `keepAliveInterval=${keepAliveMs}`].join('&')}`;
}

interface Slot {
  readonly client: EventStoreDBClient;
  subscriptions: number;
}

/** One client for appends, one for reads, and as many as needed for subscriptions, each made when first used. */
export class ClientPool {
  private appends: EventStoreDBClient | undefined;
  private reads: EventStoreDBClient | undefined;
  private readonly slots: Slot[] = [];
  private isClosed = false;

  constructor(private readonly connectionString: string) {}

  get appendClient(): EventStoreDBClient {
    return (this.appends ??= this.create());
  }

  get readClient(): EventStoreDBClient {
    return (this.reads ??= this.create());
  }

  /** Its connection did not answer: the next use makes a new one. Calls that are open on it fail. */
  async replace(client: EventStoreDBClient): Promise<void> {
    if (client === this.appends) this.appends = undefined;
    else if (client === this.reads) this.reads = undefined;
    else return;
    await client.dispose();
  }

  /** A client with room for one more subscription; `release` gives the room back. */
  subscriptionSlot(): { readonly client: EventStoreDBClient; release(): void } {
    let slot = this.slots.find(({ subscriptions }) => subscriptions < SUBSCRIPTIONS_PER_CLIENT);
    if (slot === undefined) {
      slot = { client: this.create(), subscriptions: 0 };
      this.slots.push(slot);
    }
    const taken = slot;
    taken.subscriptions += 1;
    let isHeld = true;
    return {
      client: taken.client,
      release: () => {
        if (isHeld) taken.subscriptions -= 1;
        isHeld = false;
      },
    };
  }

  async close(): Promise<void> {
    this.isClosed = true;
    const clients = [this.appends, this.reads, ...this.slots.map(({ client }) => client)];
    await Promise.all(clients.map((client) => client?.dispose()));
  }

  private create(): EventStoreDBClient {
    if (this.isClosed) throw new Error('The event store client is closed.');
    return EventStoreDBClient.connectionString(distinctSettings(this.connectionString));
  }
}
