import { PARTITIONS, type Cancel, type Host, type KeyValue, type Subscription } from '@perdure/kernel';
import { assign, nobodysMap, parseMap, sameMap, type PartitionMap } from './assignment';

/**
 * The partitions of one service, shared out among its live instances.
 *
 * 1. An instance renews its lease every RENEW_MS. Whoever watches judges by its own monotonic clock: a lease that has
 *    not changed for DEAD_AFTER_MS is dead, whatever it says.
 * 2. The live instance with the smallest id computes the map and changes it by compare-and-set.
 * 3. An instance owns what the newest map that it has seen says, also while the store of the leases is away:
 *    a wrong belief is harmless, since appends expect revisions.
 * 4. Lease and map may be wiped at any moment: both are written again from what is believed.
 * 5. Who did not see every map may have lost a partition and regained it: what is owned then counts as gained anew.
 * 6. Silence counts only while it could have been broken. Whoever owns a part of the map that is found at the start, was
 *    silent while our own renewal failed or while we stood still ourselves, has a full DEAD_AFTER_MS from then on.
 * 7. An instance that is not fit gives its lease back and owns nothing, whatever the map says, until it is.
 */

const RENEW_MS = 1_000;
const DEAD_AFTER_MS = 3_000;
/** A tick that comes so late means that this process stood still, and has not read what the others sent meanwhile. */
const STOOD_STILL_MS = 2 * RENEW_MS;

export interface PartitionOwnershipOptions {
  readonly leases: KeyValue;
  readonly maps: KeyValue;
  readonly host: Host;
  /** One token: names the map. */
  readonly service: string;
  /** One token; a restarted instance with the same id takes its partitions up at once. */
  readonly instanceId: string;
  /** Whether this node may own anything: not while its clock is wrong. */
  readonly isFit?: () => boolean;
}

type Listener = (gained: readonly number[], lost: readonly number[]) => void;

export class PartitionOwnership {
  private map: PartitionMap = nobodysMap;
  private mapRevision = 0;
  private mapsTold = 0;
  private readonly heard = new Map<string, { value: string; atMs: number }>();
  private readonly listeners = new Set<Listener>();
  private readonly subscriptions: Subscription[] = [];
  private cancelTick: Cancel = () => undefined;
  private renewals = 0;
  private tickedAtMs = 0;
  private balancing = false;
  private isAside = false;
  private stopped = false;

  constructor(private readonly options: PartitionOwnershipOptions) {}

  owns(partition: number): boolean {
    return this.map[partition] === this.options.instanceId;
  }

  /** Told at once of what is owned already, then of every change. */
  onChange(listener: Listener): Subscription {
    this.listeners.add(listener);
    const owned = this.ownedIn(this.map);
    if (owned.length > 0) listener(owned, []);
    return {
      close: () => {
        this.listeners.delete(listener);
        return Promise.resolve();
      },
    };
  }

  async start(): Promise<void> {
    const { leases, maps } = this.options;
    this.tickedAtMs = this.options.host.clock.monotonicMs();
    await this.renew();
    const stored = await this.attempt(() => maps.get(this.options.service));
    if (stored !== undefined) this.onMap(stored.value, stored.revision);
    this.presumeAlive(this.map);
    this.subscriptions.push(
      leases.watch(`${this.leasePrefix}.>`, (key, value) => this.onLease(key.slice(this.leasePrefix.length + 1), value)),
      maps.watch(this.options.service, (_key, value, revision) => this.onWatchedMap(value, revision)),
    );
    await this.balance();
    this.tick();
  }

  /** Gives the lease back, so that the others need not wait for its death. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.cancelTick();
    for (const subscription of this.subscriptions) await subscription.close();
    // Let go first: then the successor finds nobody at work.
    this.adopt(nobodysMap, { missed: false });
    await this.attempt(() => this.options.leases.delete(this.leaseKey));
  }

  private get leasePrefix(): string {
    return this.options.service;
  }

  private get leaseKey(): string {
    return `${this.leasePrefix}.${this.options.instanceId}`;
  }

  private tick(): void {
    if (this.stopped) return;
    this.cancelTick = this.options.host.timers.after(RENEW_MS, () => {
      void this.renew()
        .then(() => this.balance())
        .finally(() => this.tick());
    });
  }

  private async renew(): Promise<void> {
    if (this.options.isFit?.() === false) return this.stepAside();
    if (this.isAside) await this.comeBack();
    this.renewals += 1;
    const value = `${this.options.host.incarnation}:${this.renewals}`;
    const stored = await this.attempt(() => this.options.leases.put(this.leaseKey, value));
    const nowMs = this.options.host.clock.monotonicMs();
    if (stored === undefined || nowMs - this.tickedAtMs > STOOD_STILL_MS) {
      for (const [instanceId, heard] of this.heard) this.hear(instanceId, heard.value);
    }
    this.tickedAtMs = nowMs;
    this.hear(this.options.instanceId, value);
  }

  private async stepAside(): Promise<void> {
    this.isAside = true;
    this.adopt(nobodysMap, { missed: false });
    this.heard.delete(this.options.instanceId);
    await this.attempt(() => this.options.leases.delete(this.leaseKey));
  }

  private async comeBack(): Promise<void> {
    this.isAside = false;
    await this.readMap();
  }

  private presumeAlive(map: PartitionMap): void {
    for (const instanceId of new Set(map)) if (instanceId !== '' && !this.heard.has(instanceId)) this.hear(instanceId, '');
  }

  private onLease(instanceId: string, value: string | undefined): void {
    if (instanceId === this.options.instanceId) return;
    const isNew = !this.heard.has(instanceId);
    if (value === undefined) this.heard.delete(instanceId);
    else if (this.heard.get(instanceId)?.value !== value) this.hear(instanceId, value);
    if (isNew || value === undefined) void this.balance();
  }

  private hear(instanceId: string, value: string): void {
    this.heard.set(instanceId, { value, atMs: this.options.host.clock.monotonicMs() });
  }

  private live(): string[] {
    const nowMs = this.options.host.clock.monotonicMs();
    for (const [instanceId, { atMs }] of this.heard) {
      if (instanceId !== this.options.instanceId && nowMs - atMs > DEAD_AFTER_MS) this.heard.delete(instanceId);
    }
    return [...this.heard.keys()].sort();
  }

  /** A lower revision is either old news, from before our own change, or a map written after a wipe: ask. */
  private onWatchedMap(value: string | undefined, revision: number): void {
    if (value !== undefined && revision < this.mapRevision) void this.readMap();
    else this.onMap(value, revision);
  }

  private onMap(value: string | undefined, revision: number): void {
    if (this.stopped) return;
    this.mapsTold += 1;
    const map = value === undefined ? undefined : parseMap(value);
    const missed = revision !== this.mapRevision && revision !== this.mapRevision + 1;
    this.mapRevision = value === undefined ? 0 : revision;
    if (map !== undefined && !this.isAside) this.adopt(map, { missed });
  }

  /** An answer that a newer map has outrun is old news, and cannot be told from a map written after a wipe: ask again. */
  private async readMap(): Promise<void> {
    const told = this.mapsTold;
    const stored = await this.attempt(() => this.options.maps.get(this.options.service));
    if (told === this.mapsTold) this.onMap(stored?.value, stored?.revision ?? 0);
    else if (!this.stopped) await this.readMap();
  }

  private async balance(): Promise<void> {
    const live = this.live();
    if (this.balancing || this.stopped || live[0] !== this.options.instanceId) return;
    this.balancing = true;
    const next = assign(this.map, live);
    if (!sameMap(next, this.map) || this.mapRevision === 0) await this.change(next);
    this.balancing = false;
  }

  private async change(next: PartitionMap): Promise<void> {
    const { maps, service } = this.options;
    const revision = await this.attempt(() => maps.compareAndSet(service, JSON.stringify(next), this.mapRevision));
    if (revision !== undefined) return this.onMap(JSON.stringify(next), revision);
    // Somebody was first, or the map was wiped: the next tick starts from what is there now.
    await this.readMap();
  }

  private adopt(next: PartitionMap, { missed }: { readonly missed: boolean }): void {
    const before = new Set(this.ownedIn(this.map));
    this.map = next;
    const after = this.ownedIn(next);
    const gained = missed ? after : after.filter((partition) => !before.has(partition));
    const kept = new Set(after);
    const lost = [...before].filter((partition) => !kept.has(partition));
    if (gained.length === 0 && lost.length === 0) return;
    this.options.host.log.info('partitions', { service: this.options.service, gained: gained.length, lost: lost.length });
    for (const listener of this.listeners) listener(gained, lost);
  }

  private ownedIn(map: PartitionMap): number[] {
    const owned: number[] = [];
    for (let partition = 0; partition < PARTITIONS; partition += 1)
      if (map[partition] === this.options.instanceId) owned.push(partition);
    return owned;
  }

  /** Undefined while the store of leases and maps is away: what is believed stands meanwhile. */
  private async attempt<T>(operation: () => Promise<T>): Promise<T | undefined> {
    try {
      return await operation();
    } catch (error) {
      this.options.host.log.warn('leases or partition map not reachable', {
        service: this.options.service,
        reason: String(error),
      });
      return undefined;
    }
  }
}
