import 'reflect-metadata';
import { bootstrapService, serve, serviceModule } from '@perdure/platform-nest-runtime';
import { TimersModule } from './timers.module';

void bootstrapService({
  service: 'timers',
  env: process.env,
  start: (config) => serve(serviceModule(config, [TimersModule])),
});
