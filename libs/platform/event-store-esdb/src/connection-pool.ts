import { Connection } from './connection';

/** A server lets one connection have 100 calls open; beyond that even appends wait for ever. */
export const SUBSCRIPTIONS_PER_CONNECTION = 90;

interface Slot {
  readonly connection: Connection;
  subscriptions: number;
}

export interface HeldConnection {
  readonly connection: Connection;
  /** Gives the room back; a connection that did not answer is not used again. */
  release(options?: { readonly isBroken: boolean }): void;
}

/** One connection for appends, one for reads, and as many as needed for subscriptions. */
export class ConnectionPool {
  private readonly single = new Map<'appends' | 'reads', Connection>();
  private slots: Slot[] = [];
  private readonly closing = new Set<Promise<void>>();
  private isClosed = false;

  constructor(private readonly connectionString: string) {}

  get(purpose: 'appends' | 'reads'): Connection {
    const known = this.single.get(purpose);
    if (known !== undefined) return known;
    const connection = this.create();
    this.single.set(purpose, connection);
    return connection;
  }

  /** It did not answer: the next use makes a new one. */
  discard(connection: Connection): void {
    for (const [purpose, current] of this.single) if (current === connection) this.single.delete(purpose);
    this.slots = this.slots.filter((slot) => slot.connection !== connection);
    const closing = connection.close().catch(() => undefined);
    this.closing.add(closing);
    void closing.then(() => this.closing.delete(closing));
  }

  hold(): HeldConnection {
    let slot = this.slots.find(({ subscriptions }) => subscriptions < SUBSCRIPTIONS_PER_CONNECTION);
    if (slot === undefined) {
      slot = { connection: this.create(), subscriptions: 0 };
      this.slots.push(slot);
    }
    const held = slot;
    held.subscriptions += 1;
    let isHeld = true;
    return {
      connection: held.connection,
      release: (options) => {
        if (isHeld) held.subscriptions -= 1;
        isHeld = false;
        if (options?.isBroken === true) this.discard(held.connection);
      },
    };
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const connection of [...this.single.values(), ...this.slots.map((slot) => slot.connection)]) this.discard(connection);
    await Promise.all(this.closing);
  }

  private create(): Connection {
    if (this.isClosed) throw new Error('The event store client is closed.');
    return new Connection(this.connectionString);
  }
}
