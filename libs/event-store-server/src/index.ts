export { EventStoreServerError, type StoreFault } from './errors';
export { type EventStoreServerOptions, type RunningEventStoreServer, startEventStoreServer } from './server';
export { type EventStoreProcess, type EventStoreProcessOptions, spawnEventStoreServer } from './spawn';
export type { FileSystem, LogFile } from './store/file-system';
export { type BackupManifest, type BackupReport, backupStore, restoreStore } from './operations/backup';
export { type Fault, type StoreInfo, type VerifyReport, storeInfo, verifyStore } from './operations/verify';
