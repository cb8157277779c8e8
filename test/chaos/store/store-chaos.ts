import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { EventStoreDBClient, jsonEvent, WrongExpectedVersionError } from '@eventstore/db-client';
import { type EventStoreProcess, spawnEventStoreServer, verifyStore } from '@perdure/event-store-server';
import {
  type AppendRecord,
  crashSimulatedStore,
  type FoundEvent,
  judgeStore,
  type StoreEvidence,
  type StoreVerdict,
} from '@perdure/event-store-server/testing';
import { type EventData, type EventStore, StoreUnavailable } from '@perdure/kernel';
import { systemHost } from '@perdure/platform-host-node';
import { EsdbEventStore } from '@perdure/platform-event-store-esdb';
import { SeededRandom } from '@perdure/testing';

export interface StoreChaosOptions {
  readonly seconds: number;
  readonly seed: number;
  say(line: string): void;
}

export interface StoreChaosReport extends StoreVerdict {
  /** Of processes and of simulated machines. */
  readonly kills: number;
  /** Power cuts and deaths at random bytes of a simulated disk. */
  readonly simulatedKills: number;
  readonly events: number;
  readonly seconds: number;
  readonly seed: number;
}

/** Streams written through the adapter at exact revisions, each by one writer that repeats itself until answered. */
const EXACT_WRITERS = 16;
/** Streams written through the official client at any revision: an append whose answer was lost is not repeated. */
const LOOSE_WRITERS = 4;
const LIFE_MS = [150, 900] as const;
const EVENTS_PER_APPEND_MAX = 4;
const BYTES_MAX = 3_000;
const RETRY_MS = 20;
/** For a follower to be given what is there: it reconnects within seconds. */
const CATCH_UP_MS = 60_000;
/** Of the seconds: simulated deaths come a hundred times as often as real ones. */
const SIMULATED_SHARE = 0.5;
const KILLS_PER_STORE = 20;
/** No two seeds share a store. */
const STORES_PER_SEED = 1_000_000;
const EVERY_TYPE = ['Odd', 'Even'] as const;

/**
 * The store is killed again and again under load, as a process and on a simulated disk that loses power; then everything
 * that was acknowledged is looked for.
 */
export async function storeChaos(options: StoreChaosOptions): Promise<StoreChaosReport> {
  const { seconds, seed } = options;
  const simulated = await simulatedChaos({ ...options, seconds: seconds * SIMULATED_SHARE });
  const real = await processChaos({ ...options, seconds: seconds * (1 - SIMULATED_SHARE) });
  return {
    kills: real.kills + simulated.kills,
    simulatedKills: simulated.kills,
    acknowledged: real.acknowledged + simulated.acknowledged,
    missing: real.missing + simulated.missing,
    reordered: real.reordered + simulated.reordered,
    violations: [...real.violations, ...simulated.violations],
    events: real.events + simulated.events,
    seconds,
    seed,
  };
}

type Part = Omit<StoreChaosReport, 'simulatedKills' | 'seconds' | 'seed'>;

async function simulatedChaos({ seconds, seed, say }: StoreChaosOptions): Promise<Part> {
  const endsAt = performance.now() + seconds * 1_000;
  const sum = { kills: 0, acknowledged: 0, missing: 0, reordered: 0, events: 0 };
  const violations: string[] = [];
  for (let store = 0; performance.now() < endsAt; store += 1) {
    const report = await crashSimulatedStore({ seed: seed * STORES_PER_SEED + store, kills: KILLS_PER_STORE });
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += report[name];
    violations.push(...report.violations.map((violation) => `simulated store ${store}: ${violation}`));
    if (store % 50 === 49) say(`${sum.kills} simulated kills, ${sum.acknowledged} events acknowledged`);
  }
  return { ...sum, violations };
}

async function processChaos(options: StoreChaosOptions): Promise<Part> {
  const dataDir = mkdtempSync(join(tmpdir(), 'perdure-chaos-store-'));
  const world = new StoreWorld(dataDir, options);
  try {
    await world.open();
    const kills = await world.torment();
    const verdict = judgeStore(await world.evidence());
    const faults = await world.closed();
    return { kills, ...verdict, violations: [...verdict.violations, ...faults], events: world.events };
  } finally {
    await world.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}

class StoreWorld {
  events = 0;
  private readonly random: SeededRandom;
  private readonly appends: AppendRecord[] = [];
  private readonly seen = { all: [] as string[], odd: [] as string[], one: [] as string[] };
  private process!: EventStoreProcess;
  private store!: EventStore;
  private client!: EventStoreDBClient;
  private isOver = false;

  constructor(
    private readonly dataDir: string,
    private readonly options: StoreChaosOptions,
  ) {
    this.random = new SeededRandom(options.seed);
  }

  async open(): Promise<void> {
    this.process = await spawnEventStoreServer({ dataDir: this.dataDir });
    const { connectionString } = this.process;
    const host = systemHost({ service: 'chaos-store', write: () => undefined });
    this.store = new EsdbEventStore({ connectionString, host });
    this.client = EventStoreDBClient.connectionString(connectionString);
    const noteTo =
      (list: string[]) =>
      ({ id }: { readonly id: string }): void =>
        void list.push(id);
    const every = { by: 'stream-name', prefixes: ['exact-', 'loose-'] } as const;
    this.store.followAll({ after: 'start', filter: every, onEvent: noteTo(this.seen.all) });
    this.store.followAll({ after: 'start', filter: { by: 'event-type', types: ['Odd'] }, onEvent: noteTo(this.seen.odd) });
    this.store.follow('exact-0', { after: 'start', onEvent: noteTo(this.seen.one) });
  }

  /** @returns how often the store was killed */
  async torment(): Promise<number> {
    const endsAt = performance.now() + this.options.seconds * 1_000;
    const writers = [
      ...Array.from({ length: EXACT_WRITERS }, (_, index) => this.writeExactly(`exact-${index}`)),
      ...Array.from({ length: LOOSE_WRITERS }, (_, index) => this.writeLoosely(`loose-${index}`)),
    ];
    let kills = 0;
    while (performance.now() < endsAt) {
      await sleep(this.random.integer(...LIFE_MS));
      const { port } = this.process;
      await this.process.kill();
      kills += 1;
      this.process = await spawnEventStoreServer({ dataDir: this.dataDir, port });
      if (kills % 10 === 0) this.options.say(`${kills} kills, ${this.appends.length} appends`);
    }
    this.isOver = true;
    await Promise.all(writers);
    return kills;
  }

  async evidence(): Promise<StoreEvidence> {
    await this.client.dispose();
    this.client = EventStoreDBClient.connectionString(this.process.connectionString);
    const log: FoundEvent[] = [];
    const odd = new Set<string>();
    for await (const { event } of this.client.readAll()) {
      if (event === undefined || event.streamId.startsWith('$')) continue;
      const { id, streamId, revision, position } = event;
      if (event.type === 'Odd') odd.add(id);
      log.push({ id, stream: streamId, revision: Number(revision), commit: position?.commit ?? -1n });
    }
    this.events = log.length;
    const followers = [
      { name: 'the follower of all', seen: this.seen.all, wanted: () => true },
      { name: 'the follower of a type', seen: this.seen.odd, wanted: ({ id }: FoundEvent) => odd.has(id) },
      { name: 'the follower of a stream', seen: this.seen.one, wanted: ({ stream }: FoundEvent) => stream === 'exact-0' },
    ];
    await this.untilGiven(() => followers.every(({ seen, wanted }) => seen.length >= log.filter(wanted).length));
    return { appends: this.appends, log, followers };
  }

  /** Stopped cleanly, the folder holds intact records only. */
  async closed(): Promise<readonly string[]> {
    await this.close();
    const { faults } = await verifyStore(this.dataDir);
    return faults.map((fault) => `verify: ${JSON.stringify(fault)}`);
  }

  async close(): Promise<void> {
    await this.store.close();
    await this.client.dispose();
    await this.process.stop();
  }

  private async untilGiven(isGiven: () => boolean): Promise<void> {
    for (const until = performance.now() + CATCH_UP_MS; !isGiven() && performance.now() < until;) await sleep(RETRY_MS);
  }

  private async writeExactly(stream: string): Promise<void> {
    const random = this.random.split(stream);
    let revision = -1;
    while (!this.isOver) {
      // Now and then an append that must be refused: at a revision that has passed, or is yet to come.
      const isWrong = random.chance(0.05);
      const expected = isWrong ? revision + random.integer(1, 5) : revision;
      const events = this.draw(random);
      const result = await this.append(stream, expected, events);
      const ids = events.map(({ id }) => id);
      if (result === undefined) this.appends.push({ stream, ids, outcome: 'unknown' });
      else if (result.outcome === 'appended') {
        this.appends.push({ stream, ids, outcome: 'acknowledged', revision: result.revision });
        revision = result.revision;
      } else this.appends.push({ stream, ids, outcome: 'refused' });
    }
  }

  private async append(stream: string, expected: number, events: readonly EventData[]) {
    for (;;) {
      try {
        return await this.store.append(stream, expected < 0 ? 'no-stream' : expected, events);
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
      }
      await sleep(RETRY_MS);
    }
  }

  private async writeLoosely(stream: string): Promise<void> {
    const random = this.random.split(stream);
    while (!this.isOver) {
      const events = this.draw(random);
      const ids = events.map(({ id }) => id);
      try {
        const drawn = events.map(({ id, type, data }) => jsonEvent({ id, type, data: data as { filler: string } }));
        const { nextExpectedRevision } = await this.client.appendToStream(stream, drawn);
        this.appends.push({ stream, ids, outcome: 'acknowledged', revision: Number(nextExpectedRevision) });
      } catch (error) {
        this.appends.push({ stream, ids, outcome: error instanceof WrongExpectedVersionError ? 'refused' : 'unknown' });
        await sleep(RETRY_MS);
      }
    }
  }

  private draw(random: SeededRandom): readonly EventData[] {
    return Array.from({ length: random.integer(1, EVENTS_PER_APPEND_MAX) }, () => ({
      id: randomUUID(),
      type: EVERY_TYPE[random.integer(0, 1)] as string,
      data: { filler: 'x'.repeat(random.integer(0, BYTES_MAX)) },
      metadata: {},
    }));
  }
}
