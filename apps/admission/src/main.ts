import 'reflect-metadata';
import { bootstrapService, serve, serviceModule } from '@perdure/platform-nest-runtime';
import { AdmissionModule } from './admission.module';

void bootstrapService({
  service: 'admission',
  env: process.env,
  start: (config) => serve(serviceModule(config, [AdmissionModule])),
});
