import {
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import type { LogFollower } from '@perdure/keeper-application';
import type { Bus, Host, KeyValue } from '@perdure/kernel';
import {
  BUS,
  HOST,
  KEY_VALUE_LEASES,
  KEY_VALUE_MAP,
  LOG_FOLLOWER,
  PLATFORM_CONFIG,
  type PlatformConfig,
} from '@perdure/platform-nest-runtime';
import { PartitionOwnership } from '@perdure/platform-ownership';
import { TimerKeeper } from '@perdure/timer-application';

const SERVICE = 'timers';
/** Its own: the orchestrator shares out the same partitions among its own instances. */
const OWNERSHIP = Symbol('PartitionOwnership of timers');

const ownership: Provider = {
  provide: OWNERSHIP,
  inject: [KEY_VALUE_LEASES, KEY_VALUE_MAP, HOST, PLATFORM_CONFIG],
  useFactory: (...[leases, maps, host, { instanceId }]: [KeyValue, KeyValue, Host, PlatformConfig]) =>
    new PartitionOwnership({ leases, maps, host, service: SERVICE, instanceId }),
};

const keeper: Provider = {
  provide: TimerKeeper,
  inject: [BUS, HOST, OWNERSHIP],
  useFactory: (bus: Bus, host: Host, owned: PartitionOwnership) => new TimerKeeper({ bus, host, ownership: owned }),
};

@Module({ providers: [ownership, keeper] })
export class TimersModule implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(TimerKeeper) private readonly keeper: TimerKeeper,
    @Inject(OWNERSHIP) private readonly ownership: PartitionOwnership,
    @Inject(LOG_FOLLOWER) private readonly follower: LogFollower,
  ) {}

  onModuleInit(): void {
    this.follower.register(this.keeper);
  }

  async onApplicationBootstrap(): Promise<void> {
    this.keeper.start();
    await this.ownership.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.ownership.stop();
    await this.keeper.close();
  }
}
