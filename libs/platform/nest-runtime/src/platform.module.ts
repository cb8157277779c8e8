import { join } from 'node:path';
import { Inject, Module, type DynamicModule, type OnApplicationShutdown, type Provider } from '@nestjs/common';
import type { BlobStore, EventStore, Host } from '@perdure/kernel';
import { LogFollower } from '@perdure/keeper-application';
import { FileBlobStore, loadOrCreateKey } from '@perdure/platform-blob-fs';
import { connectBus, LEASES_BUCKET, MAP_BUCKET, type BusConnection } from '@perdure/platform-bus-jetstream';
import { EsdbEventStore } from '@perdure/platform-event-store-esdb';
import { systemHost } from '@perdure/platform-host-node';
import { FileKeyRing } from '@perdure/platform-keys-fs';
import type { PlatformConfig } from './platform.config';
import {
  BLOB_STORE,
  BUS,
  BUS_CONNECTION,
  COMMAND_BUS,
  EVENT_STORE,
  FACT_BUS,
  HOST,
  KEY_RING,
  KEY_VALUE_LEASES,
  KEY_VALUE_MAP,
  LOG_FOLLOWER,
  PLATFORM_CONFIG,
} from './tokens';

function connect(config: PlatformConfig, host: Host): Promise<BusConnection> {
  const { natsUrl: url, natsService, natsResponder, instanceId: name } = config;
  return connectBus({ url, name, host, ...natsService, ...(natsResponder ? { responder: natsResponder } : {}) });
}

async function openBlobs(dataDir: string): Promise<BlobStore> {
  // The key lies apart from the blobs: who has only one of them can neither read nor guess.
  const installationKey = await loadOrCreateKey(join(dataDir, 'keys', 'installation.key'));
  return new FileBlobStore({ folder: join(dataDir, 'blobs'), installationKey });
}

/** The one place where ports meet their adapters: everything a service is built on, once a process. */
@Module({})
export class PlatformModule implements OnApplicationShutdown {
  constructor(
    @Inject(LOG_FOLLOWER) private readonly follower: LogFollower,
    @Inject(EVENT_STORE) private readonly store: EventStore,
    @Inject(BUS_CONNECTION) private readonly connection: BusConnection,
  ) {}

  static with(config: PlatformConfig): DynamicModule {
    const ofConnection = (provide: symbol, pick: (connection: BusConnection) => unknown): Provider => ({
      provide,
      inject: [BUS_CONNECTION],
      useFactory: pick,
    });
    const providers: Provider[] = [
      { provide: PLATFORM_CONFIG, useValue: config },
      { provide: HOST, useFactory: () => systemHost({ service: config.instanceId, crashPoint: config.crashPoint }) },
      { provide: BUS_CONNECTION, inject: [HOST], useFactory: (host: Host) => connect(config, host) },
      ofConnection(BUS, ({ bus }) => bus),
      ofConnection(FACT_BUS, ({ facts }) => facts),
      ofConnection(COMMAND_BUS, ({ commands }) => commands),
      ofConnection(KEY_VALUE_LEASES, (connection) => connection.keyValue(LEASES_BUCKET)),
      ofConnection(KEY_VALUE_MAP, (connection) => connection.keyValue(MAP_BUCKET)),
      {
        provide: EVENT_STORE,
        inject: [HOST],
        useFactory: (host: Host) => new EsdbEventStore({ connectionString: config.storeUrl, host }),
      },
      { provide: BLOB_STORE, useFactory: () => openBlobs(config.dataDir) },
      {
        provide: KEY_RING,
        useFactory: () => (config.seal ? new FileKeyRing({ folder: join(config.dataDir, 'keys', 'runs') }) : undefined),
      },
      {
        provide: LOG_FOLLOWER,
        inject: [EVENT_STORE, BLOB_STORE, HOST],
        useFactory: (store: EventStore, blobs: BlobStore, host: Host) => new LogFollower({ store, blobs, host }),
      },
    ];
    return {
      module: PlatformModule,
      global: true,
      providers,
      exports: providers.map((provider) => (provider as { provide: symbol }).provide),
    };
  }

  /** After the services have let go: the last checkpoint still needs store and blobs. */
  async onApplicationShutdown(): Promise<void> {
    await this.follower.close();
    await this.store.close();
    await this.connection.close();
  }
}
