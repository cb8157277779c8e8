import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  EventStoreDBClient,
  type PersistentSubscriptionToAll,
  type PersistentSubscriptionToStream,
  START,
  jsonEvent,
  persistentSubscriptionToAllSettingsFromDefaults,
  persistentSubscriptionToStreamSettingsFromDefaults,
} from '@eventstore/db-client';
import { type RunningEventStoreServer, startEventStoreServer } from './server';

export const GROUP = 'workers';

export type Subscription = PersistentSubscriptionToStream | PersistentSubscriptionToAll;
export type Delivered = Parameters<Subscription['ack']>[0] & { readonly retryCount: number };

export const streamSettings = persistentSubscriptionToStreamSettingsFromDefaults;
export const allSettings = persistentSubscriptionToAllSettingsFromDefaults;

export function happened(count: number, type = 'Happened') {
  return Array.from({ length: count }, (_, n) => jsonEvent({ id: randomUUID(), type, data: { n } }));
}

export function revisions(events: readonly Delivered[]): number[] {
  return events.map(({ event }) => Number(event?.revision));
}

export const checkpoints = (source: string): string => `$persistentsubscription-${source}::${GROUP}-checkpoint`;
export const parked = (source: string): string => `$persistentsubscription-${source}::${GROUP}-parked`;

/** What one consumer gets, one after the other. */
export class Inbox {
  private readonly arrived: Delivered[] = [];
  private readonly waiting: ((event: Delivered) => void)[] = [];
  readonly failure: Promise<Error>;
  readonly confirmed: Promise<unknown>;

  constructor(readonly subscription: Subscription) {
    this.confirmed = new Promise((resolve) =>
      (subscription as PersistentSubscriptionToStream).on('confirmation', resolve as () => void),
    );
    this.failure = new Promise((resolve) => subscription.on('error', resolve));
    (subscription as PersistentSubscriptionToStream).on('data', (event) => {
      const waiting = this.waiting.shift();
      if (waiting === undefined) this.arrived.push(event as Delivered);
      else waiting(event as Delivered);
    });
  }

  next(): Promise<Delivered> {
    const event = this.arrived.shift();
    return event === undefined ? new Promise((resolve) => this.waiting.push(resolve)) : Promise.resolve(event);
  }

  async take(count: number): Promise<Delivered[]> {
    const events: Delivered[] = [];
    while (events.length < count) events.push(await this.next());
    return events;
  }

  async takeAcknowledged(count: number): Promise<Delivered[]> {
    const events: Delivered[] = [];
    while (events.length < count) {
      const event = await this.next();
      await this.subscription.ack(event);
      events.push(event);
    }
    return events;
  }
}

/** A server on a folder of its own, and a client of it. */
export class World {
  /** By how much the clock of the server is ahead. */
  aheadMs = 0;
  client!: EventStoreDBClient;
  server!: RunningEventStoreServer;
  private readonly folder = mkdtempSync(join(tmpdir(), 'perdure-persistent-'));

  async start(): Promise<void> {
    this.server = await startEventStoreServer({ dataDir: this.folder, port: 0, nowMs: () => Date.now() + this.aheadMs });
    this.client = EventStoreDBClient.connectionString(this.server.connectionString);
  }

  async stop(): Promise<void> {
    await this.client.dispose();
    await this.server.close();
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async end(): Promise<void> {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  consume(stream: string, bufferSize = 10): Inbox {
    return new Inbox(this.client.subscribeToPersistentSubscriptionToStream(stream, GROUP, { bufferSize }));
  }

  consumeAll(bufferSize = 10): Inbox {
    return new Inbox(this.client.subscribeToPersistentSubscriptionToAll(GROUP, { bufferSize }));
  }

  create(stream: string, changes: Parameters<typeof streamSettings>[0] = {}): Promise<void> {
    return this.client.createPersistentSubscriptionToStream(stream, GROUP, streamSettings({ startFrom: START, ...changes }));
  }

  /** Resolves when the stream has as many events, with their data. */
  written(stream: string, count = 1): Promise<unknown[]> {
    return new Promise((resolve, reject) => {
      const data: unknown[] = [];
      const subscription = this.client.subscribeToStream(stream);
      subscription.on('error', reject);
      subscription.on('data', ({ event }) => {
        data.push(event?.data);
        if (data.length === count) void subscription.unsubscribe().then(() => resolve(data));
      });
    });
  }

  /** Asks until it is so. */
  async until(isSo: () => Promise<boolean>): Promise<void> {
    for (;;) if (await isSo()) return;
  }

  async parkedLinks(source: string): Promise<{ link: string; metadata: unknown }[]> {
    const links: { link: string; metadata: unknown }[] = [];
    for await (const { event } of this.client.readStream(parked(source))) {
      links.push({ link: Buffer.from(event?.data as Uint8Array).toString(), metadata: event?.metadata });
    }
    return links;
  }

  async logStreams(): Promise<string[]> {
    const streams: string[] = [];
    for await (const { event } of this.client.readAll()) streams.push(String(event?.streamId));
    return streams;
  }
}
