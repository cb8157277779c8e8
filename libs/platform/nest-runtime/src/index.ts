export { CommandStrategy, REPLY_HEADER, type CommandContext, type CommandStrategyOptions } from './command-strategy';
export { PassErrorsOn } from './pass-errors-on.filter';
export { bootstrapService, type RunningService, type ServiceProcess } from './bootstrap';
export { configFromEnvironment, platformConfig, type PlatformConfig } from './platform.config';
export { PlatformModule } from './platform.module';
export { SchemaValidator } from './schema-validator';
export { quietNest, serve, serviceModule, startCommands, startFollowing } from './service';
export * from './tokens';
