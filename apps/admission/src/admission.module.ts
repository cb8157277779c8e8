import {
  Inject,
  Module,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleInit,
  type Provider,
} from '@nestjs/common';
import { Admission } from '@perdure/admission-application';
import type { LogFollower } from '@perdure/keeper-application';
import type { Bus, EventStore, Host, KeyValue } from '@perdure/kernel';
import {
  BUS,
  EVENT_STORE,
  HOST,
  KEY_VALUE_LEASES,
  LOG_FOLLOWER,
  PLATFORM_CONFIG,
  type PlatformConfig,
} from '@perdure/platform-nest-runtime';

const admission: Provider = {
  provide: Admission,
  inject: [BUS, KEY_VALUE_LEASES, EVENT_STORE, HOST, PLATFORM_CONFIG],
  useFactory: (...[bus, leases, store, host, { instanceId }]: [Bus, KeyValue, EventStore, Host, PlatformConfig]) =>
    new Admission({ bus, leases, store, host, instanceId }),
};

@Module({ providers: [admission] })
export class AdmissionModule implements OnModuleInit, OnApplicationBootstrap, OnApplicationShutdown {
  constructor(
    @Inject(Admission) private readonly admission: Admission,
    @Inject(LOG_FOLLOWER) private readonly follower: LogFollower,
  ) {}

  onModuleInit(): void {
    this.follower.register(this.admission.keeper);
  }

  onApplicationBootstrap(): void {
    this.admission.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.admission.close();
  }
}
