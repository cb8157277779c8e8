import { delay, StoreUnavailable, type EventData, type EventStore, type Host, type KeyRing } from '@perdure/kernel';
import {
  scheduleSnapshotStream,
  scheduleStream,
  type FiringList,
  type ScheduleAddress,
  type ScheduleEvent,
} from '@perdure/schedule-contract';
import { evolve, FiringHistory, noSchedule, type ScheduleState } from '@perdure/schedule-domain';
import { ScheduleCodec, type Provenance, type Sealed } from './schedule.codec';

/** A schedule as the log has it. */
export interface Held {
  readonly state: ScheduleState;
  /** Of its newest fact; -1 before the first. */
  readonly revision: number;
}

const PAGE = 500;
/** Facts that are read for one list of firings: some milliseconds of the owner. */
const HISTORY_FACTS_MAX = 10_000;
/** Facts between two snapshots: a schedule of each second is folded in a few milliseconds, however old it is. */
const SNAPSHOT_EVERY = 500;
/** Shape of the state in a snapshot; another number is not read. */
const FOLD_VERSION = 3;
interface StoredSnapshot extends Sealed {
  readonly foldVersion: number;
  readonly revision: number;
}

const RESEND_DELAY_MS = 50;
const RESEND_DELAY_MS_MAX = 1_000;

/** Reading and appending the stream of one schedule. An append without an answer is sent again, byte for byte. */
export class ScheduleLog {
  private readonly codec: ScheduleCodec;

  constructor(private readonly ports: { readonly store: EventStore; readonly host: Host; readonly keys?: KeyRing }) {
    this.codec = new ScheduleCodec(ports);
  }

  /** @throws PayloadsUnavailable */
  encode(address: ScheduleAddress, events: readonly ScheduleEvent[], provenance: Provenance): Promise<EventData[]> {
    return Promise.all(events.map((event) => this.codec.encode(address, event, provenance)));
  }

  /** What it was sealed with is gone then. @throws PayloadsUnavailable */
  erase(address: ScheduleAddress, generation: number): Promise<void> {
    return this.codec.erase(address, generation);
  }

  async load(address: ScheduleAddress): Promise<Held> {
    let { state, revision } = (await this.snapshot(address)) ?? { state: noSchedule as ScheduleState, revision: -1 };
    for (;;) {
      const page = await this.read(address, revision + 1);
      for (const recorded of page) {
        state = evolve(state, await this.codec.decode(address, recorded));
        revision = recorded.revision;
      }
      if (page.length < PAGE) return { state, revision };
    }
  }

  /** What has become of its times, newest first: as much as is wanted, of the newest facts. @throws StoreUnavailable */
  async firings(address: ScheduleAddress, limit: number): Promise<FiringList> {
    const history = new FiringHistory();
    const stream = scheduleStream.build(address);
    let from: number | 'end' = 'end';
    for (let read = 0; read < HISTORY_FACTS_MAX; read += PAGE) {
      const page = await this.ports.store.read(stream, { direction: 'backward', from, limit: PAGE });
      for (const recorded of page) {
        history.add(await this.codec.decode(address, recorded));
        if (history.lines.length > limit) return { firings: history.lines.slice(0, limit), complete: false };
      }
      const oldest = page.at(-1)?.revision ?? 0;
      if (oldest === 0) return { firings: history.lines, complete: true };
      from = oldest - 1;
    }
    return { firings: history.lines, complete: false };
  }

  /** Whether nothing was appended after `revision`. @throws StoreUnavailable */
  async isHead(address: ScheduleAddress, revision: number): Promise<boolean> {
    const stream = scheduleStream.build(address);
    const [newest] = await this.ports.store.read(stream, { direction: 'backward', from: 'end', limit: 1 });
    return (newest?.revision ?? -1) === revision;
  }

  /** False = another revision is the newest; nothing was written. */
  async append(address: ScheduleAddress, revision: number, events: readonly EventData[]): Promise<boolean> {
    const { store, host } = this.ports;
    const stream = scheduleStream.build(address);
    for (let waitMs = RESEND_DELAY_MS; ; waitMs = Math.min(2 * waitMs, RESEND_DELAY_MS_MAX)) {
      try {
        const result = await store.append(stream, revision < 0 ? 'no-stream' : revision, events);
        return result.outcome === 'appended';
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        host.log.warn('append without an answer: sending it again', { stream });
        await delay(host, waitMs);
      }
    }
  }

  /** A cache: it may be lost, and a failure to take one is none. */
  async maybeSnapshot(address: ScheduleAddress, before: number, held: Held): Promise<void> {
    if (Math.floor(before / SNAPSHOT_EVERY) === Math.floor(held.revision / SNAPSHOT_EVERY)) return;
    const { store, host } = this.ports;
    const stream = scheduleSnapshotStream.build(address);
    try {
      if (held.revision < 2 * SNAPSHOT_EVERY) await store.setStreamMetadata(stream, { maxCount: 1 });
      if (held.state.status === 'none') return;
      const sealed = await this.codec.seal(address, held.state.generation, JSON.stringify(held.state));
      if (sealed === undefined) return;
      const data: StoredSnapshot = { foldVersion: FOLD_VERSION, revision: held.revision, ...sealed };
      const event = { id: host.entropy.uuid(), type: 'ScheduleSnapshotTaken', data, metadata: { tenant: address.tenant } };
      await store.append(stream, 'any', [event]);
    } catch (error) {
      host.log.warn('snapshot of a schedule not taken', { stream, reason: String(error) });
    }
  }

  private async snapshot(address: ScheduleAddress): Promise<Held | undefined> {
    try {
      const stream = scheduleSnapshotStream.build(address);
      const [newest] = await this.ports.store.read(stream, { direction: 'backward', from: 'end', limit: 1 });
      const stored = newest?.data as StoredSnapshot | undefined;
      if (stored?.foldVersion !== FOLD_VERSION) return undefined;
      const text = await this.codec.open(address, stored);
      return text === undefined ? undefined : { state: JSON.parse(text) as ScheduleState, revision: stored.revision };
    } catch (error) {
      this.ports.host.log.warn('snapshot of a schedule not readable: folding from the start', { reason: String(error) });
      return undefined;
    }
  }

  private async read(address: ScheduleAddress, from: number) {
    for (let waitMs = RESEND_DELAY_MS; ; waitMs = Math.min(2 * waitMs, RESEND_DELAY_MS_MAX)) {
      try {
        return await this.ports.store.read(scheduleStream.build(address), { direction: 'forward', from, limit: PAGE });
      } catch (error) {
        if (!(error instanceof StoreUnavailable)) throw error;
        await delay(this.ports.host, waitMs);
      }
    }
  }
}
