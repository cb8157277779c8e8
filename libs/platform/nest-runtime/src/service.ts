import {
  ConsoleLogger,
  type DynamicModule,
  type INestApplication,
  type INestApplicationContext,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Bus, CommandBus } from '@perdure/kernel';
import type { LogFollower } from '@perdure/keeper-application';
import type { RunningService } from './bootstrap';
import { CommandStrategy } from './command-strategy';
import { PassErrorsOn } from './pass-errors-on.filter';
import type { PlatformConfig } from './platform.config';
import { PlatformModule } from './platform.module';
import { BUS, COMMAND_BUS, LOG_FOLLOWER } from './tokens';

class ServiceRoot {}

/** One durable consumer for all instances: whoever takes a command relays it to the owner of its run. */
const COMMAND_CONSUMER = 'command-relay';

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

/** Lets the controllers of the process take durable commands, if they have patterns for any. */
export async function startCommands(app: INestApplication): Promise<void> {
  const strategy = new CommandStrategy({
    commands: app.get<CommandBus>(COMMAND_BUS),
    bus: app.get<Bus>(BUS),
    consumer: COMMAND_CONSUMER,
  });
  app.connectMicroservice({ strategy }).useGlobalFilters(new PassErrorsOn());
  await app.startAllMicroservices();
}

/** A service without HTTP: the adapter is there for Nest, and listens nowhere. */
export async function serve(root: DynamicModule): Promise<RunningService> {
  const app = await NestFactory.create(root, new FastifyAdapter(), quietNest);
  await app.init();
  await startFollowing(app);
  await startCommands(app);
  return { close: () => app.close() };
}
