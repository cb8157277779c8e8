import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import type { EventStoreProcess } from '@perdure/event-store-server';
import type { EventStore } from '@perdure/kernel';
import { EsdbEventStore } from '@perdure/platform-event-store-esdb';
import { systemHost } from '@perdure/platform-host-node';
import { type Row, latency, medians, nextEventId, spending } from './store-server';

export interface AppendLoad {
  /** Appends under way at a time. */
  readonly inFlight: readonly number[];
  readonly secondsEach: number;
  readonly rounds: number;
  readonly eventBytes: number;
}

interface Append {
  (stream: string, revision: number): Promise<unknown>;
}

const WARM_UP_APPENDS = 1000;
const WARM_UP_AT_ONCE = 50;

/**
 * Durable appends of one event to streams of their own, at exact revisions: with the official client as it
 * is, and through the adapter.
 */
export async function measureAppends(server: EventStoreProcess, load: AppendLoad): Promise<readonly Row[]> {
  const { connectionString } = server;
  const host = systemHost({ service: 'bench', write: () => undefined });
  const official = EventStoreDBClient.connectionString(connectionString);
  const adapter: EventStore = new EsdbEventStore({ connectionString, host });
  const data = { filler: 'x'.repeat(load.eventBytes) };
  const event = () => ({ id: nextEventId(), type: 'Measured', data, metadata: { tenant: 'bench' } });
  const clients: Readonly<Record<string, Append>> = {
    official: (stream, revision) =>
      official.appendToStream(stream, jsonEvent(event()), { expectedRevision: revision < 0 ? 'no_stream' : BigInt(revision) }),
    adapter: (stream, revision) => adapter.append(stream, revision < 0 ? 'no-stream' : revision, [event()]),
  };
  try {
    const rows: Row[] = [];
    for (const [client, append] of Object.entries(clients)) {
      await warmUp(append, client);
      for (const inFlight of load.inFlight) {
        const round = (at: number): Promise<Row> =>
          measure(append, { prefix: `${client}-${inFlight}-${at}`, inFlight, seconds: load.secondsEach, server });
        rows.push({ client, inFlight, ...(await medians(load.rounds, round)) });
      }
    }
    return rows;
  } finally {
    await adapter.close();
    await official.dispose();
  }
}

async function warmUp(append: Append, prefix: string): Promise<void> {
  for (let at = 0; at < WARM_UP_APPENDS; at += WARM_UP_AT_ONCE) {
    await Promise.all(Array.from({ length: WARM_UP_AT_ONCE }, (_, offset) => append(`warm-${prefix}-${at + offset}`, -1)));
  }
}

interface Measurement {
  readonly prefix: string;
  readonly inFlight: number;
  readonly seconds: number;
  readonly server: EventStoreProcess;
}

async function measure(append: Append, { prefix, inFlight, seconds, server }: Measurement): Promise<Row> {
  const millis: number[] = [];
  const spent = spending(server.processId);
  const endsAt = performance.now() + seconds * 1000;
  const writer = async (at: number): Promise<void> => {
    for (let revision = -1; performance.now() < endsAt; revision += 1) {
      const sentAt = performance.now();
      await append(`${prefix}-${at}`, revision);
      millis.push(performance.now() - sentAt);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, (_, at) => writer(at)));
  const { seconds: took, serverCpuMicros, clientCpuMicros } = spent();
  return {
    appendsPerSecond: Math.round(millis.length / took),
    ...latency(millis),
    serverCpuMicrosPerAppend: Math.round(serverCpuMicros / millis.length),
    clientCpuMicrosPerAppend: Math.round(clientCpuMicros / millis.length),
  };
}
