export { EventStoreServerError, type StoreFault } from './errors';
export { type EventStoreServerOptions, type RunningEventStoreServer, startEventStoreServer } from './server';
export type { FileSystem, LogFile } from './store/file-system';
