import { join } from 'node:path';
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
import { ClockWatch, PartitionOwnership } from '@perdure/platform-ownership';
import { LmdbDueIndex } from '@perdure/platform-due-index-lmdb';
import { calendarTimes } from '@perdure/platform-schedule-times';
import { ScheduleOwner } from '@perdure/schedule-application';
import { TimerKeeper } from '@perdure/timer-application';
import type { DueIndex } from '@perdure/timer-contract';

const SERVICE = 'timers';
/** Its own: the orchestrator shares out the same partitions among its own instances. */
const OWNERSHIP = Symbol('PartitionOwnership of timers');
const CLOCK = Symbol('ClockWatch of timers');
const DUE_INDEX = Symbol('DueIndex');

/** Each instance has its own: it says what this one has read of the log. */
const dueIndex: Provider = {
  provide: DUE_INDEX,
  inject: [PLATFORM_CONFIG, HOST],
  useFactory: ({ localDir, instanceId }: PlatformConfig, { log }: Host) =>
    LmdbDueIndex.open({ folder: join(localDir, 'timers', instanceId), log }),
};

const clockWatch: Provider = {
  provide: CLOCK,
  inject: [EVENT_STORE, HOST],
  useFactory: (store: EventStore, host: Host) => new ClockWatch({ store, host }),
};

const ownership: Provider = {
  provide: OWNERSHIP,
  inject: [KEY_VALUE_LEASES, KEY_VALUE_MAP, HOST, PLATFORM_CONFIG, CLOCK],
  useFactory: (...[leases, maps, host, { instanceId }, clock]: [KeyValue, KeyValue, Host, PlatformConfig, ClockWatch]) =>
    new PartitionOwnership({ leases, maps, host, service: SERVICE, instanceId, isFit: () => clock.isRight }),
};

const keeper: Provider = {
  provide: TimerKeeper,
  inject: [BUS, HOST, OWNERSHIP, DUE_INDEX],
  useFactory: (...[bus, host, owned, index]: [Bus, Host, PartitionOwnership, DueIndex]) =>
    new TimerKeeper({ bus, host, ownership: owned, index }),
};

const schedules: Provider = {
  provide: ScheduleOwner,
  inject: [EVENT_STORE, BUS, HOST, OWNERSHIP, KEY_RING],
  useFactory: (...[store, bus, host, owned, keys]: [EventStore, Bus, Host, PartitionOwnership, KeyRing | undefined]) =>
    new ScheduleOwner({ store, bus, host, ownership: owned, times: calendarTimes, ...(keys === undefined ? {} : { keys }) }),
};

@Module({ providers: [clockWatch, ownership, dueIndex, keeper, schedules] })
export class TimersModule implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(TimerKeeper) private readonly keeper: TimerKeeper,
    @Inject(ScheduleOwner) private readonly schedules: ScheduleOwner,
    @Inject(OWNERSHIP) private readonly ownership: PartitionOwnership,
    @Inject(CLOCK) private readonly clock: ClockWatch,
    @Inject(LOG_FOLLOWER) private readonly follower: LogFollower,
  ) {}

  onModuleInit(): void {
    this.follower.register(this.keeper);
    this.follower.register(this.schedules.index);
  }

  async onApplicationBootstrap(): Promise<void> {
    this.keeper.start();
    this.schedules.start();
    await this.clock.start();
    await this.ownership.start();
  }

  async onApplicationShutdown(): Promise<void> {
    this.clock.stop();
    await this.ownership.stop();
    await this.schedules.stop();
    await this.keeper.close();
  }
}
