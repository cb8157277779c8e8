import { EventStoreDBClient } from '@eventstore/db-client';

/** A server lets one connection have 100 calls open; beyond that even appends wait for ever. */
export const SUBSCRIPTIONS_PER_CLIENT = 90;

const KEEPALIVE_MS = 10_000;
const KEEPALIVE_VARIANTS = 5_000;

interface Slot {
  readonly client: EventStoreDBClient;
  subscriptions: number;
}

export interface SubscriptionSlot {
  readonly client: EventStoreDBClient;
  /** Gives the room back; a client whose connection does not answer is not used again. */
  release(options?: { readonly isBroken: boolean }): void;
}

let clientsMade = 0;

/**
 * The client library shares one TCP connection among all clients of equal settings, and a connection carries 100 calls:
 * settings that differ by some milliseconds are what keeps connections apart.
 */
function distinctSettings(connectionString: string): string {
  clientsMade += 1;
  const keepAliveMs = KEEPALIVE_MS + (clientsMade % KEEPALIVE_VARIANTS);
  const [base = '', query = ''] = connectionString.split('?', 2);
  const kept = query.split('&').filter((part) => part !== '' && !/^keepAliveInterval=/i.test(part));
  return `${base}?${[...kept, `keepAliveInterval=${keepAliveMs}`].join('&')}`;
}

/** One client for appends, one for reads, and as many as needed for subscriptions, each made when first used. */
export class ClientPool {
  private appends: EventStoreDBClient | undefined;
  private reads: EventStoreDBClient | undefined;
  private slots: Slot[] = [];
  private readonly closing = new Set<Promise<void>>();
  private isClosed = false;

  constructor(private readonly connectionString: string) {}

  get appendClient(): EventStoreDBClient {
    return (this.appends ??= this.create());
  }

  get readClient(): EventStoreDBClient {
    return (this.reads ??= this.create());
  }

  /**
   * Its connection did not answer: the next use makes a new one at once, where the library waits up to two minutes.
   * Calls that are open on it fail.
   */
  discard(client: EventStoreDBClient): void {
    if (client === this.appends) this.appends = undefined;
    if (client === this.reads) this.reads = undefined;
    this.slots = this.slots.filter((slot) => slot.client !== client);
    const closing = dispose(client).catch(() => undefined);
    this.closing.add(closing);
    void closing.then(() => this.closing.delete(closing));
  }

  /** A client with room for one more subscription. */
  subscriptionSlot(): SubscriptionSlot {
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
      release: (options) => {
        if (isHeld) taken.subscriptions -= 1;
        isHeld = false;
        if (options?.isBroken === true) this.discard(taken.client);
      },
    };
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const client of [this.appends, this.reads, ...this.slots.map((slot) => slot.client)]) {
      if (client !== undefined) this.discard(client);
    }
    await Promise.all(this.closing);
  }

  private create(): EventStoreDBClient {
    if (this.isClosed) throw new Error('The event store client is closed.');
    return EventStoreDBClient.connectionString(distinctSettings(this.connectionString));
  }
}

async function dispose(client: EventStoreDBClient): Promise<void> {
  await client.dispose();
  // Otherwise the connection stays open until the library notices that nobody uses it.
  const channel = await (client as unknown as { getChannel(): Promise<{ close(): void }> }).getChannel().catch(() => undefined);
  channel?.close();
}
