import { availableParallelism, cpus } from 'node:os';
import type { BenchOptions } from './main';
import type { Figures } from './show';
import { measureAppends } from './store-appends';
import { measureLag, measureSubscriptions } from './store-live';
import { measureMemory } from './store-memory';
import { measureRawAppends } from './store-raw';
import { measureReads } from './store-reads';
import { withServer } from './store-server';

const SECONDS_EACH = 5;
const ROUNDS = 3;
const EVENT_BYTES = 200;
const IN_FLIGHT = [1, 16, 128, 512];
const MEMORY_EVENTS = 1_000_000;
const EVENTS_A_STREAM = 10;

/**
 * The event store alone: durable appends, reads, subscriptions, each in a server of its own, whose disk is that of the
 * temporary folder. With `memory`, only what a large log costs.
 */
export async function storeLoad(options: BenchOptions): Promise<Figures> {
  const { concurrency, seconds: secondsEach = SECONDS_EACH, rounds = ROUNDS, events = MEMORY_EVENTS } = options;
  const about = { load: 'store', node: process.version, cores: availableParallelism(), cpu: cpus()[0]?.model ?? 'unknown' };
  if (options.memory) {
    const { streams = Math.ceil(events / EVENTS_A_STREAM) } = options;
    const memory = await measureMemory({ events, streams, eventBytes: EVENT_BYTES });
    return { ...about, eventBytes: EVENT_BYTES, memory, executedTwice: 0, lost: 0 };
  }
  const load = { secondsEach, rounds, eventBytes: EVENT_BYTES };
  const inFlight = concurrency === undefined ? IN_FLIGHT : [concurrency];
  const appends = await withServer((server) => measureAppends(server, { ...load, inFlight }));
  const rawAppends = await withServer((server) => measureRawAppends(server, load));
  const reads = await withServer((server) => measureReads(server, load));
  const lag = await withServer((server) => measureLag(server, load));
  const subscriptions = await withServer((server) => measureSubscriptions(server, load));
  return { ...about, ...load, appends, rawAppends, reads, lag, subscriptions, executedTwice: 0, lost: 0 };
}
