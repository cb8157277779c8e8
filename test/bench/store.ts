import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import { spawnEventStoreServer } from '@perdure/event-store-server';
import type { EventData, EventStore } from '@perdure/kernel';
import { systemHost } from '@perdure/platform-host-node';
import { EsdbEventStore } from '@perdure/platform-event-store-esdb';

export interface BenchStoreOptions {
  /** Appends under way at a time. */
  readonly inFlight?: readonly number[];
  readonly secondsEach?: number;
  readonly eventBytes?: number;
}

export interface StoreFigures {
  readonly client: 'official' | 'adapter';
  readonly inFlight: number;
  readonly appendsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly serverCpuMicrosPerAppend: number;
  readonly clientCpuMicrosPerAppend: number;
}

interface Append {
  (stream: string, revision: number): Promise<unknown>;
}

const CLOCK_TICKS_PER_SECOND = 100;
const WARM_UP_APPENDS = 1000;
let ids = 0;

/**
 * Durable appends of one event to streams of their own, at exact revisions: with the official client as it
 * is, and through the adapter. The server is a process of its own, its disk the one of the temporary folder.
 */
export async function benchStore(options: BenchStoreOptions = {}): Promise<readonly StoreFigures[]> {
  const { inFlight = [1, 16, 128], secondsEach = 5, eventBytes = 200 } = options;
  const dataDir = mkdtempSync(join(tmpdir(), 'perdure-bench-'));
  const server = await spawnEventStoreServer({ dataDir });
  const host = systemHost({ service: 'bench', write: () => undefined });
  const official = EventStoreDBClient.connectionString(server.connectionString);
  const adapter: EventStore = new EsdbEventStore({ connectionString: server.connectionString, host });
  const data = { filler: 'x'.repeat(eventBytes) };
  const clients: Record<StoreFigures['client'], Append> = {
    official: (stream, revision) => {
      const event = jsonEvent({ ...eventOf(data), data });
      return official.appendToStream(stream, event, { expectedRevision: revision < 0 ? 'no_stream' : BigInt(revision) });
    },
    adapter: (stream, revision) => adapter.append(stream, revision < 0 ? 'no-stream' : revision, [eventOf(data)]),
  };
  try {
    const figures: StoreFigures[] = [];
    for (const client of ['official', 'adapter'] as const) {
      await warmUp(clients[client], client);
      for (const count of inFlight) {
        const measured = await measure(clients[client], {
          prefix: `${client}-${count}`,
          count,
          secondsEach,
          processId: server.processId,
        });
        figures.push({ client, inFlight: count, ...measured });
      }
    }
    return figures;
  } finally {
    await adapter.close();
    await official.dispose();
    await server.stop();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

function eventOf(data: unknown): EventData & { readonly metadata: Record<string, unknown> } {
  ids += 1;
  return {
    id: `00000000-0000-4000-8000-${ids.toString(16).padStart(12, '0')}`,
    type: 'Measured',
    data,
    metadata: { tenant: 'bench' },
  };
}

async function warmUp(append: Append, prefix: string): Promise<void> {
  for (let at = 0; at < WARM_UP_APPENDS; at += 50) {
    await Promise.all(Array.from({ length: 50 }, (_, offset) => append(`warm-${prefix}-${at + offset}`, -1)));
  }
}

async function measure(
  append: Append,
  options: { readonly prefix: string; readonly count: number; readonly secondsEach: number; readonly processId: number },
): Promise<Omit<StoreFigures, 'client' | 'inFlight'>> {
  const latencies: number[] = [];
  const serverBefore = cpuSecondsOf(options.processId);
  const clientBefore = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + options.secondsEach * 1000;
  const writer = async (at: number): Promise<void> => {
    for (let revision = -1; performance.now() < endsAt; revision += 1) {
      const sentAt = performance.now();
      await append(`${options.prefix}-${at}`, revision);
      latencies.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: options.count }, (_, at) => writer(at)));
  const seconds = (performance.now() - startedAt) / 1000;
  const client = process.cpuUsage(clientBefore);
  latencies.sort((left, right) => left - right);
  const at = (share: number): number => Math.round((latencies[Math.floor(latencies.length * share)] ?? 0) * 100) / 100;
  return {
    appendsPerSecond: Math.round(latencies.length / seconds),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    serverCpuMicrosPerAppend: Math.round(((cpuSecondsOf(options.processId) - serverBefore) * 1e6) / latencies.length),
    clientCpuMicrosPerAppend: Math.round((client.user + client.system) / latencies.length),
  };
}

/** User and system time of another process, from Linux's own account of it. */
function cpuSecondsOf(processId: number): number {
  const text = readFileSync(`/proc/${processId}/stat`, 'utf8');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND;
}
