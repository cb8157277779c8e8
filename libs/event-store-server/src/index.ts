export { EventStoreServerError, type StoreFault } from './errors';
export { type EventStoreServerOptions, type RunningEventStoreServer, startEventStoreServer } from './server';
export { type EventStoreProcess, type EventStoreProcessOptions, spawnEventStoreServer } from './spawn';
export type { FileSystem, LogFile } from './store/file-system';
export { type BackupManifest, type BackupReport, backupStore, restoreStore } from './operations/backup';
export { type ScavengeReport } from './engine/scavenging';
export { scavengeStore } from './operations/scavenge-store';
export { readLog } from './operations/read-log';
export { type Fault, type StoreInfo, type VerifyReport, storeInfo, verifyStore } from './operations/verify';
