import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEventStoreServer } from '@perdure/event-store-server';
import type { EventStore } from '@perdure/kernel';
import { systemHost } from '@perdure/platform-host-node';
import { eventStoreContract } from '@perdure/testing';
import { EsdbEventStore } from './index';

const host = systemHost({ service: 'event-store-spec', write: () => undefined });

eventStoreContract('EsdbEventStore on the embedded server', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'perdure-store-'));
  const server = await startEventStoreServer({ dataDir: folder, port: 0, streamsPerConnection: 100 });
  const made: EventStore[] = [];
  const another = (): EventStore => {
    const store = new EsdbEventStore({ connectionString: server.connectionString, host });
    made.push(store);
    return store;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(made.map((store) => store.close()));
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  };
  return { store: another(), another, stop };
});

const external = process.env['PERDURE_EVENTSTORE_URL'];
/** Any other server that is named: its log may hold anything, and may be written by others meanwhile. */
if (external !== undefined) {
  eventStoreContract('EsdbEventStore on PERDURE_EVENTSTORE_URL', () => {
    const made: EventStore[] = [];
    const another = (): EventStore => {
      const store = new EsdbEventStore({ connectionString: external, host });
      made.push(store);
      return store;
    };
    const stop = async (): Promise<void> => {
      await Promise.all(made.map((store) => store.close()));
    };
    return Promise.resolve({ store: another(), another, stop, prefix: `contract${randomUUID().replaceAll('-', '')}-` });
  });
}
