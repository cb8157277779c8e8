import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEventStoreServer } from '@perdure/event-store-server';
import type { EventStore } from '@perdure/kernel';
import { systemHost } from '@perdure/platform-host-node';
import { eventStoreContract } from '@perdure/testing';
import { EsdbEventStore } from './index';

const host = systemHost({ service: 'event-store-spec', write: () => undefined });

eventStoreContract('EsdbEventStore', async () => {
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
