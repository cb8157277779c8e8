import { ConsoleLogger, type DynamicModule, type INestApplicationContext, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { LogFollower } from '@perdure/keeper-application';
import type { RunningService } from './bootstrap';
import type { PlatformConfig } from './platform.config';
import { PlatformModule } from './platform.module';
import { LOG_FOLLOWER } from './tokens';

class ServiceRoot {}

/** Nest's own words only when something is wrong; its errors come back to us. */
export const quietNest = {
  logger: new ConsoleLogger({ json: true, colors: false, logLevels: ['warn', 'error', 'fatal'] }),
  abortOnError: false,
};

/** The root of a process: the platform once, and the services that share it. */
export function serviceModule(config: PlatformConfig, services: readonly Type[]): DynamicModule {
  return { module: ServiceRoot, imports: [PlatformModule.with(config), ...services] };
}

/**
 * Lets the process follow the log, once every module has been initialised and so has registered its keepers.
 * A keeper that fails later ends the process: `LogFollower.done` rejects and nobody handles it.
 */
export async function startFollowing(app: INestApplicationContext): Promise<void> {
  await app.get<LogFollower>(LOG_FOLLOWER).start();
}

/** A service without HTTP. */
export async function serve(root: DynamicModule): Promise<RunningService> {
  const app = await NestFactory.createApplicationContext(root, quietNest);
  await startFollowing(app);
  return { close: () => app.close() };
}
