import {
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import type { BlobStore, Bus, EventStore, FactBus, Host, KeyRing, KeyValue, Subscription } from '@perdure/kernel';
import type { LogFollower } from '@perdure/keeper-application';
import { disconnectFeed } from '@perdure/platform-bus-jetstream';
import { ed25519 } from '@perdure/platform-host-node';
import {
  BLOB_STORE,
  BUS,
  EVENT_STORE,
  FACT_BUS,
  HOST,
  KEY_RING,
  KEY_VALUE_LEASES,
  KEY_VALUE_MAP,
  LOG_FOLLOWER,
  PLATFORM_CONFIG,
  SchemaValidator,
  type PlatformConfig,
} from '@perdure/platform-nest-runtime';
import { ClockWatch, PartitionOwnership } from '@perdure/platform-ownership';
import { CommandRelay, RunOwner } from '@perdure/run-application';
import { workerConnectionName } from '@perdure/run-contract';
import { ApprovalBook, ApprovalChanges, StoredBuildCatalogue, TenantDesk } from '@perdure/tenant-application';
import { CommandsController } from './commands.controller';

const SERVICE = 'orchestrator';

const clockWatch: Provider = {
  provide: ClockWatch,
  inject: [EVENT_STORE, HOST],
  useFactory: (store: EventStore, host: Host) => new ClockWatch({ store, host }),
};

const ownership: Provider = {
  provide: PartitionOwnership,
  inject: [KEY_VALUE_LEASES, KEY_VALUE_MAP, HOST, PLATFORM_CONFIG, ClockWatch],
  useFactory: (...[leases, maps, host, { instanceId }, clock]: [KeyValue, KeyValue, Host, PlatformConfig, ClockWatch]) =>
    new PartitionOwnership({ leases, maps, host, service: SERVICE, instanceId, isFit: () => clock.isRight }),
};

const catalogue: Provider = {
  provide: StoredBuildCatalogue,
  inject: [EVENT_STORE, HOST],
  useFactory: (store: EventStore, host: Host) => new StoredBuildCatalogue({ store, host }),
};

const tenantDesk: Provider = {
  provide: TenantDesk,
  inject: [BUS, PartitionOwnership, StoredBuildCatalogue, ApprovalChanges],
  useFactory: (...[bus, owned, builds, approvals]: [Bus, PartitionOwnership, StoredBuildCatalogue, ApprovalChanges]) =>
    new TenantDesk({ bus, ownership: owned, builds, approvals }),
};

const approvalBook: Provider = {
  provide: ApprovalBook,
  inject: [EVENT_STORE, HOST, PLATFORM_CONFIG],
  useFactory: (store: EventStore, host: Host, { signerKey }: PlatformConfig) =>
    new ApprovalBook({ store, host, signatures: ed25519, signerKey }),
};

const approvalChanges: Provider = {
  provide: ApprovalChanges,
  inject: [EVENT_STORE, HOST, ApprovalBook],
  useFactory: (store: EventStore, host: Host, book: ApprovalBook) => new ApprovalChanges({ store, host, book }),
};

type OwnerParts = [
  Host,
  EventStore,
  Bus,
  FactBus,
  BlobStore,
  KeyRing | undefined,
  PartitionOwnership,
  StoredBuildCatalogue,
  ApprovalBook,
  PlatformConfig,
  ClockWatch,
];

const owner: Provider = {
  provide: RunOwner,
  inject: [
    HOST,
    EVENT_STORE,
    BUS,
    FACT_BUS,
    BLOB_STORE,
    KEY_RING,
    PartitionOwnership,
    StoredBuildCatalogue,
    ApprovalBook,
    PLATFORM_CONFIG,
    ClockWatch,
  ],
  useFactory: (...[host, store, bus, facts, blobs, keys, owned, builds, approvals, config, nodeClock]: OwnerParts) =>
    new RunOwner({
      host,
      store,
      bus,
      facts,
      blobs,
      ...(keys === undefined ? {} : { keys }),
      nodeClock,
      ownership: owned,
      builds,
      validator: new SchemaValidator(),
      approvals,
      signatures: ed25519,
      signerKey: config.signerKey,
    }),
};

const relay: Provider = { provide: CommandRelay, inject: [BUS], useFactory: (bus: Bus) => new CommandRelay(bus) };

@Module({
  controllers: [CommandsController],
  providers: [clockWatch, ownership, catalogue, approvalBook, approvalChanges, tenantDesk, owner, relay],
})
export class OrchestratorModule implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  private disconnects: Subscription | undefined;

  constructor(
    @Inject(RunOwner) private readonly owner: RunOwner,
    @Inject(TenantDesk) private readonly tenants: TenantDesk,
    @Inject(PartitionOwnership) private readonly ownership: PartitionOwnership,
    @Inject(ClockWatch) private readonly clock: ClockWatch,
    @Inject(LOG_FOLLOWER) private readonly follower: LogFollower,
    @Inject(PLATFORM_CONFIG) private readonly config: PlatformConfig,
    @Inject(HOST) private readonly host: Host,
  ) {}

  onModuleInit(): void {
    for (const keeper of this.owner.keepers) this.follower.register(keeper);
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.owner.start();
    this.tenants.start();
    await this.clock.start();
    await this.ownership.start();
    await this.hearDisconnects();
  }

  /** Before the platform goes: partitions are given back first, so that another instance can take them at once. */
  async onApplicationShutdown(): Promise<void> {
    await this.disconnects?.close();
    this.clock.stop();
    await this.ownership.stop();
    await this.tenants.stop();
    await this.owner.stop();
  }

  /** The fast path of worker death; without a system account, silence alone tells. */
  private async hearDisconnects(): Promise<void> {
    const { natsSystem, natsUrl: url, instanceId } = this.config;
    if (natsSystem === undefined) return;
    this.disconnects = await disconnectFeed({
      url,
      name: `${instanceId}-disconnects`,
      system: natsSystem,
      host: this.host,
      onDisconnect: ({ name }) => {
        const session = workerConnectionName.parse(name);
        if (session !== undefined) this.owner.workers.connectionClosed(session);
      },
    });
  }
}
