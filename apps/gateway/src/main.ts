import 'reflect-metadata';
import { bootstrapService, serviceModule } from '@perdure/platform-nest-runtime';
import { GatewayModule } from './gateway.module';
import { serveHttp } from './serve-http';

void bootstrapService({
  service: 'gateway',
  env: process.env,
  start: (config) => serveHttp(serviceModule(config, [GatewayModule]), config),
});
