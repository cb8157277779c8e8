import {
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import type { LogFollower } from '@perdure/keeper-application';
import type { Bus, EventStore, Host, KeyRing, KeyValue } from '@perdure/kernel';
import {
  BUS,
  EVENT_STORE,
  HOST,
  KEY_RING,
  KEY_VALUE_LEASES,
  KEY_VALUE_MAP,
  LOG_FOLLOWER,
  PLATFORM_CONFIG,
  type PlatformConfig,
} from '@perdure/platform-nest-runtime';
import { PartitionOwnership } from '@perdure/platform-ownership';
import { calendarTimes } from '@perdure/platform-schedule-times';
import { ScheduleOwner } from '@perdure/schedule-application';
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

const schedules: Provider = {
  provide: ScheduleOwner,
  inject: [EVENT_STORE, BUS, HOST, OWNERSHIP, KEY_RING],
  useFactory: (...[store, bus, host, owned, keys]: [EventStore, Bus, Host, PartitionOwnership, KeyRing | undefined]) =>
    new ScheduleOwner({ store, bus, host, ownership: owned, times: calendarTimes, ...(keys === undefined ? {} : { keys }) }),
};

@Module({ providers: [ownership, keeper, schedules] })
export class TimersModule implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(TimerKeeper) private readonly keeper: TimerKeeper,
    @Inject(ScheduleOwner) private readonly schedules: ScheduleOwner,
    @Inject(OWNERSHIP) private readonly ownership: PartitionOwnership,
    @Inject(LOG_FOLLOWER) private readonly follower: LogFollower,
  ) {}

  onModuleInit(): void {
    this.follower.register(this.keeper);
    this.follower.register(this.schedules.index);
  }

  async onApplicationBootstrap(): Promise<void> {
    this.keeper.start();
    this.schedules.start();
    await this.ownership.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.ownership.stop();
    await this.schedules.stop();
    await this.keeper.close();
  }
}
