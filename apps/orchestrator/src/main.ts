import 'reflect-metadata';
import { bootstrapService, serve, serviceModule } from '@perdure/platform-nest-runtime';
import { OrchestratorModule } from './orchestrator.module';

void bootstrapService({
  service: 'orchestrator',
  env: process.env,
  start: (config) => serve(serviceModule(config, [OrchestratorModule])),
});
