import { EventStoreDBClient, jsonEvent } from '@eventstore/db-client';
import type { EventStoreProcess } from '@perdure/event-store-server';
import { runRawLoad } from './raw-load';
import { type Row, latency, medians, nextEventId, spending } from './store-server';

const LONG_EVENTS = 1000;
const SHORT_EVENTS = 20;
const SHORT_STREAMS = 50;
const PARTS_PER_APPEND = 500;
/** Beside those, so that a catch-up over the whole log takes its time. */
const LOG_EVENTS = 20_000;
const LOG = { prefix: 'read-log-', streams: 1000, window: 128 };

export interface ReadLoad {
  readonly secondsEach: number;
  readonly rounds: number;
  readonly eventBytes: number;
}

interface Reading {
  readonly what: string;
  readonly readers: number;
  /** @returns the events read */
  readonly read: (at: number) => Promise<number>;
}

/** With the official client: one long stream, short ones as an aggregate is loaded, and the whole log. */
export async function measureReads(server: EventStoreProcess, load: ReadLoad): Promise<readonly Row[]> {
  const client = EventStoreDBClient.connectionString(server.connectionString);
  try {
    await fill(client, load.eventBytes);
    await runRawLoad({ ...LOG, port: server.port, eventBytes: load.eventBytes, isOver: (sent) => sent >= LOG_EVENTS });
    const readings: readonly Reading[] = [
      { what: 'stream of 1000', readers: 1, read: () => count(client.readStream('read-long')) },
      { what: 'stream of 1000', readers: 8, read: () => count(client.readStream('read-long')) },
      { what: 'stream of 20', readers: 1, read: (at) => count(client.readStream(`read-short-${at % SHORT_STREAMS}`)) },
      { what: 'stream of 20', readers: 16, read: (at) => count(client.readStream(`read-short-${at % SHORT_STREAMS}`)) },
      { what: '$all', readers: 1, read: () => count(client.readAll()) },
    ];
    const rows: Row[] = [];
    for (const reading of readings) {
      const figures = await medians(load.rounds, () => measure(reading, server, load.secondsEach));
      rows.push({ what: reading.what, readers: reading.readers, ...figures });
    }
    return rows;
  } finally {
    await client.dispose();
  }
}

async function fill(client: EventStoreDBClient, eventBytes: number): Promise<void> {
  const event = () => jsonEvent({ id: nextEventId(), type: 'Measured', data: { filler: 'x'.repeat(eventBytes) } });
  const events = (length: number) => Array.from({ length }, event);
  for (let at = 0; at < LONG_EVENTS; at += PARTS_PER_APPEND) {
    await client.appendToStream('read-long', events(PARTS_PER_APPEND));
  }
  for (let at = 0; at < SHORT_STREAMS; at += 1) await client.appendToStream(`read-short-${at}`, events(SHORT_EVENTS));
}

async function measure({ readers, read }: Reading, server: EventStoreProcess, seconds: number): Promise<Row> {
  let [events, started] = [0, 0];
  const millis: number[] = [];
  const spent = spending(server.processId);
  const endsAt = performance.now() + seconds * 1000;
  const reader = async (): Promise<void> => {
    do {
      const at = started;
      started += 1;
      const beganAt = performance.now();
      const found = await read(at);
      events += found;
      millis.push(performance.now() - beganAt);
    } while (performance.now() < endsAt);
  };
  await Promise.all(Array.from({ length: readers }, reader));
  const { seconds: took, serverCpuMicros, clientCpuMicros } = spent();
  return {
    eventsPerSecond: Math.round(events / took),
    readsPerSecond: Number((millis.length / took).toFixed(1)),
    ...latency(millis),
    serverCpuMicrosPerEvent: Number((serverCpuMicros / events).toFixed(1)),
    clientCpuMicrosPerEvent: Number((clientCpuMicros / events).toFixed(1)),
  };
}

async function count(source: AsyncIterable<unknown>): Promise<number> {
  let found = 0;
  for await (const _event of source) found += 1;
  return found;
}
