import 'reflect-metadata';
import { AdmissionModule } from '@perdure/app-admission';
import { GatewayModule, serveHttp } from '@perdure/app-gateway';
import { OrchestratorModule } from '@perdure/app-orchestrator';
import { TimersModule } from '@perdure/app-timers';
import { bootstrapService, serviceModule } from '@perdure/platform-nest-runtime';

// All services in one process, on one connection, one store client and one log follower.
void bootstrapService({
  service: 'services',
  env: process.env,
  start: (config) => serveHttp(serviceModule(config, [OrchestratorModule, AdmissionModule, TimersModule, GatewayModule]), config),
});
