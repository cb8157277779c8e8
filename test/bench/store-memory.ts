import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EventStoreProcess, spawnEventStoreServer } from '@perdure/event-store-server';
import { runRawLoad } from './raw-load';
import { type Row, memoryOf } from './store-server';

const WINDOW = 1024;

export interface LogSize {
  readonly events: number;
  readonly streams: number;
  readonly eventBytes: number;
}

/** A log of that size: how long it takes to open, what it holds in memory then, what it takes of the disk. */
export async function measureMemory({ events, streams, eventBytes }: LogSize): Promise<readonly Row[]> {
  const dataDir = mkdtempSync(join(tmpdir(), 'perdure-bench-'));
  try {
    const fillSeconds = await withServerOn(dataDir, async ({ port }) => {
      const startedAt = performance.now();
      await runRawLoad({ port, window: WINDOW, streams, prefix: 'run-', eventBytes, isOver: (sent) => sent >= events });
      return Math.round((performance.now() - startedAt) / 1000);
    });
    const rows: Row[] = [];
    // The first start scans what was not written down when the server ended; the next one finds it.
    for (const start of ['first', 'next']) {
      const startedAt = performance.now();
      rows.push(
        await withServerOn(dataDir, ({ processId }) => {
          const openMs = Math.round(performance.now() - startedAt);
          const { rssKb, pssKb } = memoryOf(processId);
          const size = { events, streams, fillSeconds };
          const memory = { openMs, rssMb: mb(rssKb * 1024), pssMb: mb(pssKb * 1024) };
          return Promise.resolve({
            start,
            ...size,
            ...memory,
            logMb: mb(bytesOf(dataDir, '.log')),
            indexMb: mb(bytesOf(dataDir, '.idx')),
          });
        }),
      );
    }
    return rows;
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
}

async function withServerOn<Result>(dataDir: string, task: (server: EventStoreProcess) => Promise<Result>): Promise<Result> {
  const server = await spawnEventStoreServer({ dataDir });
  try {
    return await task(server);
  } finally {
    await server.stop();
  }
}

function bytesOf(folder: string, ending: string): number {
  const files = readdirSync(folder).filter((name) => name.endsWith(ending));
  return files.reduce((total, name) => total + statSync(join(folder, name)).size, 0);
}

function mb(bytes: number): number {
  return Math.round(bytes / 1024 / 102.4) / 10;
}
