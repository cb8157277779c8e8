import { InvalidFilter, FilterMatcher } from '../engine/event-filter';
import { isTooLong } from '../engine/name-length';
import type { StoreEngine } from '../engine/store-engine';
import { EventDamaged } from '../errors';
import type { EventFilter } from '../wire/requests';
import { CONFIG_BYTES_MAX, ConfigUnreadable, configBytes, readConfig, writeConfig } from './config-stream';
import { GroupHost } from './group-host';
import { checkpointStream, parkedStream, subscriptionId } from './group-names';
import { ALL, type GroupKey, type GroupSettings, type ProposedSettings } from '../wire/persistent-requests';
import { type GroupEntry, settingsFault } from './group-settings';
import type { GroupReport } from '../wire/persistent-responses';
import { startsAfter } from './message-source';
import { PersistentSubscriptionError, doesNotExist, failed } from './persistent-errors';
import { clearState } from './state-streams';

// All groups. What there is stands in the configuration stream; this is what it leads to.
//
// 1. One change at a time, and each is answered when the configuration that has it is durable.
// 2. A group that is created begins anew: what one of its name left behind is hidden first.

/** Timeouts and checkpoints are looked at as often as in EventStoreDB. */
const TICK_MS = 1000;

export interface ProposedGroup extends GroupKey {
  readonly settings: ProposedSettings;
  readonly filter: EventFilter | undefined;
}

export class PersistentSubscriptions {
  private readonly hosts = new Map<string, GroupHost>();
  private changes: Promise<unknown> = Promise.resolve();
  private ticking: NodeJS.Timeout | undefined;
  private fault: Error | undefined;
  private isClosed = false;

  constructor(private readonly engine: StoreEngine) {
    this.load();
  }

  /** @throws PersistentSubscriptionError */
  create(proposed: ProposedGroup): Promise<void> {
    return this.change(proposed, async () => {
      if (this.hosts.has(subscriptionId(proposed))) {
        throw new PersistentSubscriptionError('exists', proposed, `Group '${proposed.group}' already exists.`);
      }
      const entry = this.checked(proposed);
      await this.save(entry, [...this.entries(), entry], () => this.clear(entry));
      this.open(entry);
    });
  }

  /** The filter stays as it was created. Consumers are dropped, and begin at the checkpoint when they come back. */
  update(key: GroupKey, settings: ProposedSettings): Promise<void> {
    return this.change(key, async () => {
      const { entry: before } = this.host(key);
      const proposed = this.checked({ ...key, settings, filter: before.filter });
      const keepsEnd = settings.start === 'end' && before.settings.start === 'end';
      const entry = keepsEnd ? { ...proposed, startsAfter: before.startsAfter } : proposed;
      const others = this.entries().filter((one) => one !== before);
      await this.save(entry, [...others, entry]);
      this.closeHost(key);
      this.open(entry);
    });
  }

  delete(key: GroupKey): Promise<void> {
    return this.change(key, async () => {
      const { entry } = this.host(key);
      await this.save(
        entry,
        this.entries().filter((one) => one !== entry),
      );
      this.closeHost(key);
      // What could not be hidden now is hidden by rule 2.
      await this.clear(entry).catch(() => undefined);
    });
  }

  /** Drops all consumers and begins again with what is written down. */
  restart(): Promise<void> {
    const restarted = this.changes.then(() => {
      this.stop();
      if (!this.isClosed) this.load();
    });
    this.changes = restarted.catch(() => undefined);
    return restarted;
  }

  /** @throws PersistentSubscriptionError when there is none */
  host(key: GroupKey): GroupHost {
    this.checkUsable(key);
    const host = this.hosts.get(subscriptionId(key));
    if (host === undefined) throw doesNotExist(key);
    return host;
  }

  report(key: GroupKey): GroupReport {
    return this.host(key).report();
  }

  reportAll(): readonly GroupReport[] {
    this.checkUsable({ source: '', group: '' });
    return [...this.hosts.values()].map((host) => host.report());
  }

  /** @throws PersistentSubscriptionError when the source has no group */
  reportOf(source: string): readonly GroupReport[] {
    this.checkUsable({ source, group: '' });
    const hosts = [...this.hosts.values()].filter(({ entry }) => entry.source === source);
    if (hosts.length === 0) throw doesNotExist({ source, group: '' });
    return hosts.map((host) => host.report());
  }

  close(): void {
    this.isClosed = true;
    this.stop();
  }

  private stop(): void {
    clearInterval(this.ticking);
    this.ticking = undefined;
    for (const host of this.hosts.values()) host.close();
    this.hosts.clear();
  }

  /** A configuration that cannot be read stops the groups, and nothing else of the server. */
  private load(): void {
    this.fault = undefined;
    try {
      for (const entry of readConfig(this.engine)) this.open(entry);
    } catch (error) {
      if (!(error instanceof ConfigUnreadable || error instanceof EventDamaged || error instanceof InvalidFilter)) throw error;
      this.stop();
      this.fault = error;
    }
  }

  private open(entry: GroupEntry): void {
    if (this.isClosed) return;
    this.hosts.set(subscriptionId(entry), new GroupHost(this.engine, entry));
    this.ticking ??= setInterval(() => this.tick(), TICK_MS).unref();
  }

  private closeHost(key: GroupKey): void {
    this.hosts.get(subscriptionId(key))?.close();
    this.hosts.delete(subscriptionId(key));
    if (this.hosts.size > 0) return;
    clearInterval(this.ticking);
    this.ticking = undefined;
  }

  private tick(): void {
    for (const host of this.hosts.values()) host.tick();
  }

  private entries(): readonly GroupEntry[] {
    return [...this.hosts.values()].map(({ entry }) => entry);
  }

  /** Rule 1. */
  private change(key: GroupKey, action: () => Promise<void>): Promise<void> {
    const changed = this.changes.then(() => {
      this.checkUsable(key);
      return action();
    });
    this.changes = changed.catch(() => undefined);
    return changed;
  }

  private checkUsable(key: GroupKey): void {
    if (this.fault !== undefined) throw failed(key, this.fault.message);
  }

  private checked({ source, group, settings, filter }: ProposedGroup): GroupEntry {
    const key = { source, group };
    const refuse = (reason: string): never => {
      throw failed(key, reason);
    };
    if (source === '' || group === '') refuse('The names of the stream and of the group must not be empty.');
    if (isTooLong(checkpointStream(key))) refuse('The names of the stream and of the group are too long together.');
    const fault = settingsFault(settings);
    if (fault !== undefined) refuse(fault);
    if (source !== ALL && filter !== undefined) refuse('Only groups that read all events can have a filter.');
    try {
      if (filter !== undefined) new FilterMatcher(this.engine.index, filter);
    } catch (error) {
      if (!(error instanceof InvalidFilter)) throw error;
      refuse(error.message);
    }
    const usable = settings as GroupSettings;
    return { ...key, filter, settings: usable, startsAfter: startsAfter(this.engine, { source, settings: usable }) };
  }

  private async save(key: GroupKey, entries: readonly GroupEntry[], before?: () => Promise<void>): Promise<void> {
    const data = configBytes(entries, this.engine.nowMs());
    if (data.length > CONFIG_BYTES_MAX) {
      throw failed(key, `All groups together are described by at most ${CONFIG_BYTES_MAX} bytes: delete some that are not used.`);
    }
    try {
      await before?.();
      await new Promise<void>((resolve, reject) => {
        writeConfig(this.engine, data, (failure) => (failure === undefined ? resolve() : reject(failure)));
      });
    } catch (error) {
      throw failed(key, error instanceof Error ? error.message : String(error));
    }
  }

  /** Rule 2. */
  private async clear(key: GroupKey): Promise<void> {
    await clearState(this.engine, checkpointStream(key));
    await clearState(this.engine, parkedStream(key));
  }
}
