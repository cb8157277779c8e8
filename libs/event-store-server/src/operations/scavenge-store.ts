import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ScavengeReport } from '../engine/scavenging';
import { StoreEngine } from '../engine/store-engine';
import { EventStoreServerError } from '../errors';
import { FORMAT_FILE, lockDataFolder } from '../store/data-folder';
import { nodeFileSystem } from '../store/file-system';

/**
 * Scavenges a log that nobody serves.
 * @throws EventStoreServerError `NoEventLog`, `DataFolderLocked`, `LogCorrupt`
 */
export async function scavengeStore(folder: string): Promise<ScavengeReport> {
  if (!existsSync(join(folder, FORMAT_FILE))) {
    throw new EventStoreServerError('NoEventLog', `${folder} holds no event log: name the folder that was given as --data.`);
  }
  const lock = await lockDataFolder(folder).catch((error: unknown) => {
    if (!(error instanceof EventStoreServerError) || error.code !== 'DataFolderLocked') throw error;
    throw new EventStoreServerError(
      'DataFolderLocked',
      `${folder} is served now: have its server do it, with --server esdb://…`,
      error,
    );
  });
  let engine: StoreEngine | undefined;
  try {
    engine = await StoreEngine.open({ files: nodeFileSystem, folder, nowMs: Date.now, onFailed: () => undefined });
    return await engine.scavenging.start().finished;
  } finally {
    await engine?.close();
    lock.release();
  }
}
