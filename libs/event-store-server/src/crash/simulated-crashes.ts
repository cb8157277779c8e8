import { logReader, streamReader } from '../engine/readers';
import { type AppendOutcome, StoreEngine } from '../engine/store-engine';
import { eventIdOf, eventTypeOf, readRecordHeader, streamNameOf } from '../store/record';
import { idToText } from '../wire/event-id';
import { WHOLE_LOG } from '../wire/requests';
import { chanceFrom } from './chance';
import { CrashFollower } from './crash-follower';
import { CrashWriter, TYPES } from './crash-writer';
import { type FoundEvent, judgeStore, type StoreVerdict } from './judge';
import { PowerLost, SimulatedDisk } from './simulated-disk';

const FOLDER = '/data';
/** Small, so that the files of the log roll in nearly every life. */
const SEGMENT_BYTES = 24 * 1024;
/** Written between two deaths, at most. */
const LIFE_BYTES_MAX = 60_000;
/** Some die while they start. */
const SHORT_LIFE_SHARE = 0.15;
const SHORT_LIFE_BYTES_MAX = 600;
const POWER_CUT_SHARE = 0.6;
const INDEX_DAMAGE_SHARE = 0.3;
const SCAVENGE_SHARE = 0.5;
/** Of this stream only the newest events can be seen: what a scavenge finds to take away. */
const CHURNED = 'churned-0';
const CHURNED_KEPT = 2;

export interface SimulatedStoreOptions {
  readonly seed: number;
  readonly kills: number;
  /** A fault of the disk, to see that it is found. */
  readonly lie?: 'about-sync' | 'about-names';
}

export interface SimulatedStoreReport extends StoreVerdict {
  readonly kills: number;
  readonly events: number;
}

/** One store on a simulated disk that is killed at random bytes under load, and judged at the end. */
export async function crashSimulatedStore(options: SimulatedStoreOptions): Promise<SimulatedStoreReport> {
  const world = new SimulatedWorld(options);
  for (let kill = 0; kill < options.kills; kill += 1) {
    try {
      await world.liveAndDie();
    } catch (error) {
      return world.refused(error, kill + 1);
    }
  }
  return world.judge();
}

class SimulatedWorld {
  private readonly chance: () => number;
  private readonly disk: SimulatedDisk;
  private readonly writers: readonly CrashWriter[];
  private readonly followers: readonly CrashFollower[];
  private readonly churner: CrashWriter;
  private ids = 0;
  /** Of the writers whose events all stay. */
  private readonly judged = new Set<string>();

  constructor(private readonly options: SimulatedStoreOptions) {
    this.chance = chanceFrom(options.seed);
    this.disk = new SimulatedDisk(this.chance);
    this.disk.liesAboutSync = options.lie === 'about-sync';
    this.disk.liesAboutNames = options.lie === 'about-names';
    const streams = ['exact-0', 'exact-1', 'exact-2', 'loose-0', 'loose-1', 'once-0'];
    this.writers = streams.map((stream) => {
      const kind = stream.replace(/-.*/, '') as 'exact' | 'loose' | 'once';
      return new CrashWriter({ stream, kind, chance: this.chance, nextId: () => this.nextJudgedId() });
    });
    this.churner = new CrashWriter({ stream: CHURNED, kind: 'loose', chance: this.chance, nextId: () => this.nextId() });
    this.followers = [
      new CrashFollower({ name: 'all' }),
      new CrashFollower({ name: 'odd', filter: { on: 'event-type', regex: '^Odd$', prefixes: [], checkpointInterval: 3 } }),
      new CrashFollower({
        name: 'loose',
        filter: { on: 'stream-name', regex: undefined, prefixes: ['loose-'], checkpointInterval: 32 },
      }),
      new CrashFollower({ name: 'exact-0', stream: 'exact-0' }),
    ];
  }

  async liveAndDie(): Promise<void> {
    const { chance, disk } = this;
    disk.failAfter(Math.floor(chance() * (chance() < SHORT_LIFE_SHARE ? SHORT_LIFE_BYTES_MAX : LIFE_BYTES_MAX)));
    const engine = await this.tryOpen();
    if (engine !== undefined) {
      await limitChurned(engine, this.nextId());
      await this.scavengeSometimes(engine);
      await Promise.all([...this.writers, this.churner].map((writer) => writer.run(engine, () => false)));
      await engine.close();
    }
    if (chance() < POWER_CUT_SHARE) disk.powerCut();
    else disk.processDied();
    this.damageIndex();
  }

  async judge(): Promise<SimulatedStoreReport> {
    const { kills } = this.options;
    let engine: StoreEngine;
    try {
      engine = await this.open();
    } catch (error) {
      return this.refused(error, kills);
    }
    await Promise.all([...this.writers, this.churner].map((writer) => writer.run(engine, () => true)));
    const { log: whole, odd } = found(engine);
    const log = whole.filter(({ id }) => this.judged.has(id));
    const wanted: Readonly<Record<string, (event: FoundEvent) => boolean>> = {
      all: () => true,
      odd: ({ id }) => odd.has(id),
      loose: ({ stream }) => stream.startsWith('loose-'),
      'exact-0': ({ stream }) => stream === 'exact-0',
    };
    const verdict = judgeStore({
      appends: this.writers.flatMap(({ records }) => records),
      log,
      followers: this.followers.map(({ seen, options: { name } }) => ({
        name,
        seen: seen.filter((id) => this.judged.has(id)),
        wanted: wanted[name] ?? (() => true),
      })),
    });
    const violations = [...verdict.violations, ...this.churnedFaults(engine)];
    await engine.close();
    return { kills, events: log.length, ...verdict, violations };
  }

  /** A store that does not open any more has lost all that it acknowledged. */
  refused(error: unknown, kills: number): SimulatedStoreReport {
    const acknowledged = this.writers
      .flatMap(({ records }) => records)
      .reduce((sum, { outcome, ids }) => sum + (outcome === 'acknowledged' ? ids.length : 0), 0);
    const violations = [`seed ${this.options.seed}: the store does not open: ${String(error)}`];
    return { kills, events: 0, acknowledged, missing: acknowledged, reordered: 0, violations };
  }

  /** Alone, so that the power fails in the middle of it, or while the log is written. */
  private async scavengeSometimes(engine: StoreEngine): Promise<void> {
    if (this.chance() > SCAVENGE_SHARE) return;
    const { finished } = engine.scavenging.start();
    if (this.chance() < 0.8) await finished;
  }

  /** Its newest events are there, and no others can be seen. */
  private churnedFaults(engine: StoreEngine): readonly string[] {
    const acknowledged = Math.max(-1, ...this.churner.records.map(({ revision = -1 }) => revision));
    const stream = engine.index.find(CHURNED);
    if (stream === undefined) return acknowledged < 0 ? [] : [`${CHURNED} is gone`];
    const seen: number[] = [];
    const source = streamReader(engine, stream, { ...WHOLE_LOG, stream: CHURNED });
    for (let page = source(); page !== undefined; page = source()) {
      seen.push(...page.events.map((event) => stream.revisionOf(event)));
    }
    const first = Math.max(0, stream.lastRevision + 1 - CHURNED_KEPT);
    const expected = Array.from({ length: stream.lastRevision + 1 - first }, (_, at) => first + at);
    const isWhole = stream.lastRevision >= acknowledged && String(seen) === String(expected);
    return isWhole ? [] : [`${CHURNED} shows ${String(seen)}, expected ${String(expected)}; acknowledged up to ${acknowledged}`];
  }

  /** Undefined when it died before it was open. */
  private async tryOpen(): Promise<StoreEngine | undefined> {
    try {
      return await this.open();
    } catch (error) {
      if (this.disk.isOff || error instanceof PowerLost) return undefined;
      throw error;
    }
  }

  private async open(): Promise<StoreEngine> {
    const engine = await StoreEngine.open({
      files: this.disk,
      folder: FOLDER,
      nowMs: () => this.ids,
      segmentBytes: SEGMENT_BYTES,
      onFailed: () => undefined,
    });
    for (const follower of this.followers) follower.follow(engine);
    return engine;
  }

  /** What is known of closed segments is a cache: it may be gone, cut short or wrong. */
  private damageIndex(): void {
    const { chance, disk } = this;
    for (const name of disk.list(FOLDER).filter((file) => file.endsWith('.idx'))) {
      if (chance() > INDEX_DAMAGE_SHARE) continue;
      const path = `${FOLDER}/${name}`;
      const size = disk.readBytes(path)?.length ?? 0;
      const kind = Math.floor(chance() * 3);
      if (kind === 0) disk.remove(path);
      else if (kind === 1) disk.shorten(path, Math.floor(chance() * size));
      else if (size > 0) disk.corrupt(path, Math.floor(chance() * size));
    }
  }

  private nextJudgedId(): Buffer {
    const id = this.nextId();
    this.judged.add(idToText(id));
    return id;
  }

  private nextId(): Buffer {
    this.ids += 1;
    const id = Buffer.alloc(16);
    id.writeUInt32BE(this.ids, 12);
    return id;
  }
}

/** In each life anew: the one before may have died before it was durable. */
function limitChurned(engine: StoreEngine, id: Buffer): Promise<AppendOutcome> {
  const data = Buffer.from(JSON.stringify({ $maxCount: CHURNED_KEPT }));
  const event = { id, type: '$metadata', contentType: 'application/json', data, metadata: Buffer.alloc(0) };
  return new Promise((resolve) => engine.append({ stream: `$$${CHURNED}`, expected: 'any', events: [event] }, resolve));
}

function found(engine: StoreEngine): { readonly log: readonly FoundEvent[]; readonly odd: ReadonlySet<string> } {
  const log: FoundEvent[] = [];
  const odd = new Set<string>();
  const source = logReader(engine, WHOLE_LOG);
  for (let page = source(); page !== undefined; page = source()) {
    for (const event of page.events) {
      const record = engine.record(event);
      const position = engine.index.columns.position(event);
      const id = idToText(eventIdOf(record));
      if (eventTypeOf(record) === TYPES[0]) odd.add(id);
      const revision = readRecordHeader(record, 0, position)?.revision ?? -1;
      log.push({ id, stream: streamNameOf(record), revision, commit: BigInt(position) });
    }
  }
  return { log, odd };
}
