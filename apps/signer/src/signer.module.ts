import { join } from 'node:path';
import {
  Inject,
  Module,
  type DynamicModule,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type Provider,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SignerDesk, type SignerPorts } from '@perdure/approval-application';
import type { EventStore, Host } from '@perdure/kernel';
import { FileBlobStore, loadOrCreateKey } from '@perdure/platform-blob-fs';
import { connectBus, type BusConnection } from '@perdure/platform-bus-jetstream';
import { EsdbEventStore } from '@perdure/platform-event-store-esdb';
import { ed25519, signingKeyOf, systemHost } from '@perdure/platform-host-node';
import { FileKeyRing } from '@perdure/platform-keys-fs';
import { quietNest, type PlatformConfig, type RunningService } from '@perdure/platform-nest-runtime';
import { RunCodec } from '@perdure/run-application';
import { ApprovalBook, StoredBuildCatalogue } from '@perdure/tenant-application';
import { FileSecrets } from './file-secrets';
import { LoggedRuns } from './logged-runs';
import { RegisteredTools } from './registered-tools';

export interface SignerConfig {
  readonly platform: PlatformConfig;
  /** Holds the private key and the hashes of secrets: of mode 700, and named in no other configuration. */
  readonly signerDir: string;
}

const STORE = Symbol('EventStore');
const CONNECTION = Symbol('BusConnection');
const KEY_FILE = 'signer.key';

async function connect(
  { natsUrl: url, natsService, natsResponder, instanceId: name }: PlatformConfig,
  host: Host,
): Promise<BusConnection> {
  return connectBus({ url, name, host, use: 'core', ...natsService, ...(natsResponder ? { responder: natsResponder } : {}) });
}

/** What the signer looks at the world with: the log, and nothing that another service tells it. */
async function portsOf(
  { platform, signerDir }: SignerConfig,
  ...[host, store, { bus }]: [Host, EventStore, BusConnection]
): Promise<SignerPorts> {
  const key = signingKeyOf(await loadOrCreateKey(join(signerDir, KEY_FILE)));
  const installationKey = await loadOrCreateKey(join(platform.dataDir, 'keys', 'installation.key'));
  const blobs = new FileBlobStore({ folder: join(platform.dataDir, 'blobs'), installationKey });
  const keys = platform.seal ? { keys: new FileKeyRing({ folder: join(platform.dataDir, 'keys', 'runs') }) } : {};
  return {
    bus,
    host,
    key,
    signatures: ed25519,
    runs: new LoggedRuns(store, new RunCodec({ blobs, host, ...keys })),
    approvals: new ApprovalBook({ store, host, signatures: ed25519, signerKey: key.publicKey }),
    secrets: await FileSecrets.open(signerDir),
    tools: new RegisteredTools(new StoredBuildCatalogue({ store, host }), host),
  };
}

@Module({})
export class SignerModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(SignerDesk) private readonly desk: SignerDesk,
    @Inject(STORE) private readonly store: EventStore,
    @Inject(CONNECTION) private readonly connection: BusConnection,
  ) {}

  static with(config: SignerConfig): DynamicModule {
    const host = systemHost({ service: config.platform.instanceId, crashPoint: config.platform.crashPoint });
    const providers: Provider[] = [
      { provide: STORE, useFactory: () => new EsdbEventStore({ connectionString: config.platform.storeUrl, host }) },
      { provide: CONNECTION, useFactory: () => connect(config.platform, host) },
      {
        provide: SignerDesk,
        inject: [STORE, CONNECTION],
        useFactory: async (store: EventStore, connection: BusConnection) =>
          new SignerDesk(await portsOf(config, host, store, connection)),
      },
    ];
    return { module: SignerModule, providers };
  }

  onApplicationBootstrap(): void {
    this.desk.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.desk.stop();
    await this.store.close();
    await this.connection.close();
  }
}

export async function serveSigner(config: SignerConfig): Promise<RunningService> {
  const app = await NestFactory.createApplicationContext(SignerModule.with(config), quietNest);
  return { close: () => app.close() };
}
