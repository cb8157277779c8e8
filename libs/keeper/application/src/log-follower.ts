import {
  comparePositions,
  type BlobStore,
  type EventStore,
  type FactMark,
  type Following,
  type Host,
  type Json,
  type Keeper,
  type Position,
  type RecordedEvent,
  type StoredKeeper,
  type Subscription,
} from '@perdure/kernel';
import { Checkpoints } from './checkpoints';
import { isStored, resume } from './stored-index';

// The one follower of a process: the sure path of its keepers.
//
// 1. A keeper sees each fact of its types in log order, once per process, none left out.
// 2. A checkpoint's index holds all that the log says up to its position; what it may hold beyond is told again.
// 3. Loading never trusts a damaged checkpoint; the log itself is the last resort.
// 4. A keeper that throws has an index nobody can rely on: the follower stops and says so.

/** A take-over reads at most the tail of this long, or of `CHECKPOINT_FACTS`, whichever came first. */
export const CHECKPOINT_EVERY_MS = 30_000;
export const CHECKPOINT_FACTS = 20_000;
/** Taking a checkpoint may cost at most one part in this many of the follower's time. */
const CHECKPOINT_COST_DIVISOR = 20;
/** Between two checkpoints, whatever their reason: a store that refuses them at once is not asked at every fact. */
const CHECKPOINT_PAUSE_MS = 1_000;

export interface FollowerPorts {
  readonly store: EventStore;
  readonly blobs: BlobStore;
  readonly host: Host;
}

interface Followed {
  readonly keeper: Keeper | StoredKeeper;
  /** Exclusive: what the keeper's index contained when it was restored. */
  seen: Position | undefined;
  /** The last fact of its own that it was told. */
  last: FactMark | undefined;
  /** Facts of its own, and of the whole follower, since its last checkpoint. */
  ownFacts: number;
  allFacts: number;
}

export class LogFollower implements Following {
  /** Resolves after `close`; rejects with the reason when a keeper failed. Unheeded, it ends the process. */
  readonly done: Promise<void>;

  private readonly loading: FollowerPorts & { isStopped(): boolean };
  private readonly checkpoints: Checkpoints;
  private readonly followed: Followed[] = [];
  private readonly byType = new Map<string, Followed[]>();
  private state: 'new' | 'starting' | 'following' | 'failed' | 'closed' = 'new';
  private subscription: Subscription | undefined;
  private saving: Promise<void> | undefined;
  private lastSavedAtMs = 0;
  private lastSaveTookMs = 0;
  private upTo: Position | undefined;
  private cancelTimer: () => void = () => undefined;
  private settle!: { readonly resolve: () => void; readonly reject: (reason: unknown) => void };

  constructor(private readonly ports: FollowerPorts) {
    this.loading = { ...ports, isStopped: () => this.isEnded() };
    this.checkpoints = new Checkpoints(this.loading);
    this.done = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
  }

  get position(): Position | undefined {
    return this.upTo;
  }

  /** @throws TypeError once it has started: a keeper that joins later would miss facts. */
  register(keeper: Keeper | StoredKeeper): void {
    if (this.state !== 'new') throw new TypeError(`Keeper ${keeper.name} came after the follower had started`);
    if (this.followed.some((other) => other.keeper.name === keeper.name))
      throw new TypeError(`Two keepers are named ${keeper.name}`);
    const followed: Followed = { keeper, seen: undefined, last: undefined, ownFacts: 0, allFacts: 0 };
    this.followed.push(followed);
    for (const type of new Set(keeper.eventTypes)) this.byType.set(type, [...(this.byType.get(type) ?? []), followed]);
  }

  /** Resolves when every keeper has its index back and the tail of the log is being read. */
  async start(): Promise<void> {
    if (this.state !== 'new') throw new TypeError('The follower was started before');
    this.state = 'starting';
    await Promise.all(this.followed.map((followed) => this.restore(followed)));
    if (this.isEnded() || this.followed.length === 0) return;
    this.state = 'following';
    this.upTo = smallest(this.followed.map(({ seen }) => seen));
    this.lastSavedAtMs = this.ports.host.clock.monotonicMs();
    this.subscription = this.ports.store.followAll({
      after: this.upTo ?? 'start',
      filter: { by: 'event-type', types: [...this.byType.keys()] },
      onEvent: (fact) => this.handle(fact),
      onCheckpoint: (position) => this.advance(position),
      onCaughtUp: () => this.caughtUp(),
      onRefused: (error) => this.stop(error, 'the store refuses to be followed: the process must end'),
    });
    this.armTimer();
  }

  /** Saves what has changed since the last checkpoint; a failure is logged and repaired by the next one. */
  async checkpoint(): Promise<void> {
    await this.saving;
    this.saving = this.saveAll().finally(() => {
      this.saving = undefined;
    });
    await this.saving;
  }

  async close(): Promise<void> {
    if (this.isEnded()) return;
    const wasFollowing = this.state === 'following';
    this.state = 'closed';
    this.cancelTimer();
    await this.subscription?.close();
    if (wasFollowing) await this.checkpoint();
    this.settle.resolve();
  }

  private isEnded(): boolean {
    return this.state === 'closed' || this.state === 'failed';
  }

  private async restore(followed: Followed): Promise<void> {
    const { keeper } = followed;
    followed.seen = isStored(keeper) ? (await resume(keeper, this.loading))?.position : await this.restored(keeper);
    if (followed.seen === undefined) this.ports.host.log.info('a keeper reads the log from its start', { keeper: keeper.name });
  }

  private async restored(keeper: Keeper): Promise<Position | undefined> {
    for await (const { position, parts } of this.checkpoints.newestFirst(keeper.name)) {
      try {
        restoreFrom(keeper, parts);
        return position;
      } catch (error) {
        this.ports.host.log.warn('a keeper refused its checkpoint; falling back', { keeper: keeper.name, error: String(error) });
      }
    }
    keeper.restore(undefined);
    return undefined;
  }

  private handle(fact: RecordedEvent): void {
    if (this.state !== 'following') return;
    for (const followed of this.byType.get(fact.type) ?? []) {
      if (followed.seen !== undefined && comparePositions(fact.position, followed.seen) <= 0) continue;
      try {
        followed.keeper.apply(fact);
      } catch (error) {
        this.fail(followed.keeper, fact, error);
        return;
      }
      followed.ownFacts += 1;
      followed.last = fact;
    }
    this.advance(fact.position);
    let due = false;
    for (const followed of this.followed) due = (followed.allFacts += 1) >= CHECKPOINT_FACTS || due;
    if (due) this.checkpointIfAffordable();
  }

  private advance(position: Position): void {
    if (this.state !== 'following') return;
    if (this.upTo === undefined || comparePositions(position, this.upTo) > 0) this.upTo = position;
  }

  private caughtUp(): void {
    if (this.state !== 'following') return;
    for (const { keeper } of this.followed) keeper.caughtUp?.();
  }

  private fail(keeper: Followed['keeper'], fact: RecordedEvent, error: unknown): void {
    const { stream, revision, type } = fact;
    const where = { keeper: keeper.name, stream, revision, type };
    this.stop(error, 'a keeper failed: the process must end, its index cannot be trusted', where);
  }

  private stop(error: unknown, why: string, where: Readonly<Record<string, unknown>> = {}): void {
    this.state = 'failed';
    this.cancelTimer();
    this.ports.host.log.error(why, { ...where, error: String(error) });
    void this.subscription?.close();
    this.settle.reject(error);
  }

  private armTimer(): void {
    if (this.state !== 'following') return;
    this.cancelTimer = this.ports.host.timers.after(CHECKPOINT_EVERY_MS, () => {
      this.checkpointIfAffordable();
      this.armTimer();
    });
  }

  private checkpointIfAffordable(): void {
    const pauseMs = this.ports.host.clock.monotonicMs() - this.lastSavedAtMs;
    if (this.saving !== undefined || pauseMs < Math.max(CHECKPOINT_PAUSE_MS, this.lastSaveTookMs * CHECKPOINT_COST_DIVISOR))
      return;
    void this.checkpoint();
  }

  private async saveAll(): Promise<void> {
    const { clock, log } = this.ports.host;
    const startedAtMs = clock.monotonicMs();
    for (const followed of this.followed) {
      // A keeper with no facts of its own is saved only to shorten what a restart has to skip.
      if (followed.ownFacts === 0 && (isStored(followed.keeper) || followed.allFacts < CHECKPOINT_FACTS)) continue;
      try {
        await this.save(followed);
      } catch (error) {
        log.warn('a checkpoint could not be saved; the next one will try again', {
          keeper: followed.keeper.name,
          error: String(error),
        });
      }
    }
    this.lastSavedAtMs = clock.monotonicMs();
    this.lastSaveTookMs = this.lastSavedAtMs - startedAtMs;
  }

  private async save(followed: Followed): Promise<void> {
    // The place comes first: what the index learns while it is being saved, the log will tell again.
    const { upTo: position } = this;
    const { keeper, last, ownFacts, allFacts } = followed;
    if (isStored(keeper)) {
      if (last === undefined) return;
      await keeper.save(last);
    } else {
      if (position === undefined) return;
      await this.checkpoints.save(keeper.name, position, this.partsOf(keeper));
    }
    followed.ownFacts -= ownFacts;
    followed.allFacts -= allFacts;
  }

  /** @throws TypeError when the keeper has failed meanwhile: nothing of it may be saved any more */
  private *partsOf(keeper: Keeper): Generator<Json> {
    for (const part of keeper.snapshotParts?.() ?? [keeper.snapshot()]) {
      if (this.state === 'failed') throw new TypeError('a keeper has failed');
      yield part;
    }
  }
}

function restoreFrom(keeper: Keeper, parts: readonly string[]): void {
  const [first, ...rest] = parts;
  if (keeper.restorePart === undefined) {
    if (first === undefined || rest.length > 0) throw new TypeError(`${keeper.name} takes its index in one piece`);
    keeper.restore(JSON.parse(first) as Json);
    return;
  }
  keeper.restore(undefined);
  for (const part of parts) keeper.restorePart(JSON.parse(part) as Json);
}

/** Undefined = the start of the log, before every position. */
function smallest(positions: readonly (Position | undefined)[]): Position | undefined {
  return positions.reduce((least, position) =>
    least === undefined || position === undefined ? undefined : comparePositions(position, least) < 0 ? position : least,
  );
}
