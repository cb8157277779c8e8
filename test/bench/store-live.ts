import { setTimeout as sleep } from 'node:timers/promises';
import { EventStoreDBClient, jsonEvent, streamNameFilter } from '@eventstore/db-client';
import type { EventStoreProcess } from '@perdure/event-store-server';
import { type Row, latency, medians, memoryOf, nextEventId, spending } from './store-server';

const RATES_PER_SECOND = [500, 2000];
const STREAMS = 100;
const TICK_MS = 5;
const SUBSCRIPTIONS = [0, 100, 1000];
/** Real servers let one connection have 100 calls open; appends need room beside them. */
const SUBSCRIPTIONS_PER_CLIENT = 90;
const IN_FLIGHT = 16;

export interface LiveLoad {
  readonly secondsEach: number;
  readonly rounds: number;
}

/** From the call of an append to the event in the hands of a subscriber, in one process. */
export async function measureLag(server: EventStoreProcess, { secondsEach, rounds }: LiveLoad): Promise<readonly Row[]> {
  const rows: Row[] = [
    { load: 'serial', ...(await medians(rounds, (at) => lagOf(server, { prefix: `lag-${at}-`, secondsEach }))) },
  ];
  for (const rate of RATES_PER_SECOND) {
    const round = (at: number): Promise<Row> => lagOf(server, { prefix: `lag-${rate}-${at}-`, secondsEach, rate });
    rows.push({ load: `${rate}/s`, ...(await medians(rounds, round)) });
  }
  return rows;
}

interface LagLoad {
  readonly prefix: string;
  readonly secondsEach: number;
  /** Undefined: the next one when the last one has arrived. */
  readonly rate?: number;
}

async function lagOf(server: EventStoreProcess, { prefix, secondsEach, rate }: LagLoad): Promise<Row> {
  const client = EventStoreDBClient.connectionString(server.connectionString);
  const sentAtMs: number[] = [];
  const millis: number[] = [];
  let arrived: (() => void) | undefined;
  const subscription = client.subscribeToAll({ fromPosition: 'end', filter: streamNameFilter({ prefixes: [prefix] }) });
  subscription.on('data', ({ event }) => {
    millis.push(performance.now() - (sentAtMs[(event?.data as { at: number }).at] as number));
    arrived?.();
  });
  subscription.on('error', () => undefined);
  await new Promise<void>((resolve) => subscription.once('confirmation', () => resolve()));
  const append = (): Promise<unknown> => {
    const at = sentAtMs.push(performance.now()) - 1;
    return client.appendToStream(`${prefix}${at % STREAMS}`, jsonEvent({ id: nextEventId(), type: 'Measured', data: { at } }));
  };
  const endsAt = performance.now() + secondsEach * 1000;
  const under = rate === undefined ? serial : paced(rate);
  await under({ append, isOver: () => performance.now() >= endsAt, arrival: (then) => (arrived = then) });
  while (millis.length < sentAtMs.length) await new Promise<void>((resolve) => (arrived = resolve));
  await subscription.unsubscribe();
  await client.dispose();
  return { events: millis.length, ...latency(millis) };
}

interface Pace {
  readonly append: () => Promise<unknown>;
  readonly isOver: () => boolean;
  readonly arrival: (then: () => void) => void;
}

async function serial({ append, isOver, arrival }: Pace): Promise<void> {
  while (!isOver()) {
    const arrived = new Promise<void>((resolve) => arrival(resolve));
    await append();
    await arrived;
  }
}

function paced(rate: number): (pace: Pace) => Promise<void> {
  return async ({ append, isOver }) => {
    const startedAt = performance.now();
    const appends: Promise<unknown>[] = [];
    while (!isOver()) {
      const due = ((performance.now() - startedAt) * rate) / 1000;
      while (appends.length < due) appends.push(append());
      await sleep(TICK_MS);
    }
    await Promise.all(appends);
  };
}

/** What it costs to have subscriptions open that nothing concerns: their memory, and what appends elsewhere cost then. */
export async function measureSubscriptions(server: EventStoreProcess, { secondsEach }: LiveLoad): Promise<readonly Row[]> {
  const clients: EventStoreDBClient[] = [];
  const writer = EventStoreDBClient.connectionString(server.connectionString);
  const rows: Row[] = [];
  const before = memoryOf(server.processId).rssKb;
  let open = 0;
  for (const subscriptions of SUBSCRIPTIONS) {
    const startedAt = performance.now();
    for (; open < subscriptions; open += 1) {
      if (open % SUBSCRIPTIONS_PER_CLIENT === 0) clients.push(anotherClient(server, clients.length));
      const subscription = (clients.at(-1) as EventStoreDBClient).subscribeToStream(`quiet-${open}`);
      subscription.on('error', () => undefined).on('data', () => undefined);
      await new Promise<void>((resolve) => subscription.once('confirmation', () => resolve()));
    }
    const openMs = Math.round(performance.now() - startedAt);
    const rssKb = memoryOf(server.processId).rssKb - before;
    rows.push({ subscriptions, openMs, serverRssGrownKb: rssKb, ...(await appendsBeside(writer, server, secondsEach)) });
  }
  await Promise.all([writer, ...clients].map((client) => client.dispose()));
  return rows;
}

/** The library shares a connection among clients of equal settings. */
function anotherClient({ connectionString }: EventStoreProcess, number: number): EventStoreDBClient {
  return EventStoreDBClient.connectionString(`${connectionString}&keepAliveInterval=${20_000 + number}`);
}

async function appendsBeside(client: EventStoreDBClient, server: EventStoreProcess, seconds: number): Promise<Row> {
  let appends = 0;
  const spent = spending(server.processId);
  const endsAt = performance.now() + seconds * 1000;
  const append = (at: number): Promise<unknown> =>
    client.appendToStream(`beside-${at}`, jsonEvent({ id: nextEventId(), type: 'Measured', data: {} }));
  const writer = async (at: number): Promise<void> => {
    for (; performance.now() < endsAt; appends += 1) await append(at);
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, at) => writer(at)));
  const { seconds: took, serverCpuMicros } = spent();
  return { appendsPerSecond: Math.round(appends / took), serverCpuMicrosPerAppend: Math.round(serverCpuMicros / appends) };
}
