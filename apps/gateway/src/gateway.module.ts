import { Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import type { BlobStore, Bus, EventStore, Host, KeyRing } from '@perdure/kernel';
import type { LogFollower } from '@perdure/keeper-application';
import {
  BLOB_STORE,
  BUS,
  EVENT_STORE,
  HOST,
  KEY_RING,
  LOG_FOLLOWER,
  PLATFORM_CONFIG,
  type PlatformConfig,
} from '@perdure/platform-nest-runtime';
import { ed25519 } from '@perdure/platform-host-node';
import { RunCodec, RunReader, WorkerRegistry } from '@perdure/run-application';
import { ApprovalBook, StoredBuildCatalogue } from '@perdure/tenant-application';
import { ZodValidationPipe } from 'nestjs-zod';
import { ApprovalInbox } from './approval-inbox';
import { ApprovalReader } from './approval-reader';
import { ApprovalsController } from './approvals.controller';
import { ApproversController } from './approvers.controller';
import { AgentsController } from './agents.controller';
import { BuildList } from './build-list';
import { BuildsController } from './builds.controller';
import { DeployController } from './deploy.controller';
import { DeadLetterDirectory } from './dead-letter-directory';
import { DeadLettersController } from './dead-letters.controller';
import { BranchesController } from './branches.controller';
import { BulkActions } from './bulk-actions';
import { BulkController } from './bulk.controller';
import { EffectsController } from './effects.controller';
import { ErrorFilter } from './error.filter';
import { FactReader } from './fact-stream';
import { FactsController } from './facts.controller';
import { HealthController } from './health.controller';
import { InboxDesk } from './inbox-desk';
import { RunDirectory } from './run-directory';
import { RunRequests } from './run-requests';
import { RunsController } from './runs.controller';
import { CallbacksController } from './callbacks.controller';
import { ScheduleRequests } from './schedule-requests';
import { SchedulesController } from './schedules.controller';
import { SignalsController } from './signals.controller';
import { TaskInbox } from './task-inbox';
import { TaskReader } from './task-reader';
import { TasksController } from './tasks.controller';
import { SignerRequests } from './signer-requests';
import { TokenStreams } from './token-streams';
import { TokensController } from './tokens.controller';

interface CodecPorts {
  readonly blobs: BlobStore;
  readonly keys: KeyRing | undefined;
  readonly host: Host;
}

function factReader(store: EventStore, { blobs, keys, host }: CodecPorts): FactReader {
  const codec = new RunCodec({ blobs, host, ...(keys === undefined ? {} : { keys }) });
  return new FactReader(store, host, async (address, recorded) => (await codec.decode(address, recorded)).data);
}

@Module({
  controllers: [
    RunsController,
    BulkController,
    BranchesController,
    CallbacksController,
    SignalsController,
    EffectsController,
    ApprovalsController,
    ApproversController,
    TasksController,
    FactsController,
    TokensController,
    AgentsController,
    BuildsController,
    DeployController,
    SchedulesController,
    DeadLettersController,
    HealthController,
  ],
  providers: [
    { provide: APP_PIPE, useClass: ZodValidationPipe },
    { provide: APP_FILTER, inject: [HOST], useFactory: (host: Host) => new ErrorFilter(host.log) },
    { provide: RunRequests, inject: [BUS, HOST], useFactory: (bus: Bus, host: Host) => new RunRequests(bus, host) },
    { provide: ScheduleRequests, inject: [BUS, HOST], useFactory: (bus: Bus, host: Host) => new ScheduleRequests(bus, host) },
    { provide: TokenStreams, inject: [BUS, HOST], useFactory: (bus: Bus, host: Host) => new TokenStreams({ bus, host }) },
    { provide: SignerRequests, inject: [BUS, HOST], useFactory: (bus: Bus, host: Host) => new SignerRequests(bus, host) },
    {
      provide: ApprovalBook,
      inject: [EVENT_STORE, HOST, PLATFORM_CONFIG],
      useFactory: (store: EventStore, host: Host, { signerKey }: PlatformConfig) =>
        new ApprovalBook({ store, host, signatures: ed25519, signerKey }),
    },
    {
      provide: ApprovalInbox,
      inject: [LOG_FOLLOWER],
      useFactory: (follower: LogFollower) => {
        const inbox = new ApprovalInbox();
        follower.register(inbox);
        return inbox;
      },
    },
    {
      provide: ApprovalReader,
      inject: [ApprovalInbox, FactReader],
      useFactory: (inbox: ApprovalInbox, facts: FactReader) => new ApprovalReader(inbox, facts),
    },
    {
      provide: TaskInbox,
      inject: [LOG_FOLLOWER],
      useFactory: (follower: LogFollower) => {
        const inbox = new TaskInbox();
        follower.register(inbox);
        return inbox;
      },
    },
    {
      provide: TaskReader,
      inject: [TaskInbox, FactReader],
      useFactory: (inbox: TaskInbox, facts: FactReader) => new TaskReader(inbox, facts),
    },
    {
      provide: InboxDesk,
      inject: [BUS, HOST, ApprovalReader, TaskReader],
      useFactory: (bus: Bus, host: Host, ...[approvals, tasks]: [ApprovalReader, TaskReader]) =>
        new InboxDesk({ bus, host, approvals, tasks }),
    },
    {
      provide: StoredBuildCatalogue,
      inject: [EVENT_STORE, HOST],
      useFactory: (store: EventStore, host: Host) => new StoredBuildCatalogue({ store, host }),
    },
    {
      provide: DeadLetterDirectory,
      inject: [LOG_FOLLOWER],
      useFactory: (follower: LogFollower) => {
        const directory = new DeadLetterDirectory();
        follower.register(directory);
        return directory;
      },
    },
    {
      provide: RunDirectory,
      inject: [LOG_FOLLOWER],
      useFactory: (follower: LogFollower) => {
        const directory = new RunDirectory();
        follower.register(directory);
        return directory;
      },
    },
    {
      provide: RunReader,
      inject: [EVENT_STORE, BLOB_STORE, KEY_RING, HOST],
      useFactory: (store: EventStore, blobs: BlobStore, ...[keys, host]: [KeyRing | undefined, Host]) =>
        new RunReader({ store, blobs, host, ...(keys === undefined ? {} : { keys }) }),
    },
    {
      provide: WorkerRegistry,
      inject: [BUS, HOST],
      // It only says who lives: what follows from a death is the owners' business.
      useFactory: (bus: Bus, host: Host) =>
        new WorkerRegistry({ bus, host }, { onDeath: () => undefined, onCapacity: () => undefined }),
    },
    {
      provide: BuildList,
      inject: [StoredBuildCatalogue, RunDirectory, WorkerRegistry],
      useFactory: (catalogue: StoredBuildCatalogue, directory: RunDirectory, workers: WorkerRegistry) =>
        new BuildList({ catalogue, directory, workers }),
    },
    {
      provide: BulkActions,
      inject: [RunRequests, RunDirectory, HOST],
      useFactory: (runs: RunRequests, directory: RunDirectory, host: Host) => new BulkActions(runs, directory, host),
    },
    {
      provide: FactReader,
      inject: [EVENT_STORE, BLOB_STORE, KEY_RING, HOST],
      // Positional, as Nest injects; the function behind it takes them by name.
      useFactory: (store: EventStore, blobs: BlobStore, ...[keys, host]: [KeyRing | undefined, Host]) =>
        factReader(store, { blobs, keys, host }),
    },
  ],
})
export class GatewayModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(WorkerRegistry) private readonly workers: WorkerRegistry,
    @Inject(InboxDesk) private readonly inbox: InboxDesk,
  ) {}

  onApplicationBootstrap(): void {
    this.workers.start();
    this.inbox.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.inbox.stop();
    await this.workers.stop();
  }
}
