import {
  BusUnavailable,
  comparePositions,
  delay,
  partitionOf,
  type Cancel,
  type EventStore,
  type FactBus,
  type Host,
  type OutgoingFact,
  type Position,
  type RecordedEvent,
} from '@perdure/kernel';
import { eventSubject, PUBLISHED_STREAM, RUN_CATEGORY, runStream, type RunAddress } from '@perdure/run-contract';
import type { Ownership } from './ports';

/**
 * Publishes every fact of the owned partitions, after it is durable in the log.
 *
 * 1. Appends never wait for this.
 * 2. The mark is a position at or before which every fact of the owned partitions is stored by the broker. It never
 *    passes a fact whose append is under way: such a fact lies beyond the position that was the highest when it began.
 * 3. Facts beyond the mark are published again, in order, by whoever owns the partition next, or after the
 *    broker's confirmation failed: at least once, never silently not at all.
 * 4. The mark speaks for a partition only after the broker has confirmed what was republished of it.
 * 5. The broker confirms before its disk has synced, so the mark that is written is one period old.
 */

const CONFIRM_EVERY_MS = 50;
const MARK_EVERY_MS = 5_000;
/** Unconfirmed facts kept in memory while the broker is away; beyond it they are read from the log again. */
const UNCONFIRMED_MAX = 20_000;
const RETRY_MS = 500;
/** Facts republished between two confirmations: bounds what is in memory while the log is passed over. */
const REPUBLISHED_PAGE = 1_000;
/** A former owner's last append may land after we have passed over the log; the store gives it up well before this. */
const FORMER_OWNER_MS = 30_000;
/** Marks kept: one event speaks for all partitions of one instance, so a few cover every partition. */
const MARKS_KEPT = 64;

/** An append under way, or the facts of one that are not confirmed. */
export interface PublishTicket {
  /** Everything appended by this instance at or before here was acknowledged before this append began. */
  readonly beyond: Position | 'start';
}

interface Outgoing {
  readonly fact: OutgoingFact;
  readonly ticket: PublishTicket;
}

/** Everything of its partitions up to `end` was seen by it. */
interface Pass {
  end: Position | 'start';
}

interface StoredMark {
  readonly position: Position;
  readonly partitions: readonly number[];
}

export interface PublisherPorts {
  readonly store: EventStore;
  readonly facts: FactBus;
  readonly host: Host;
  readonly ownership: Ownership;
}

export class FactPublisher {
  private unconfirmed: Outgoing[] = [];
  private readonly underWay = new Set<PublishTicket>();
  /** Partitions whose facts beyond their old mark have been published: the mark speaks for these. */
  private readonly covered = new Set<number>();
  /** From a take-over on, for a while: how far its pass over the log has come, by partition. */
  private readonly passes = new Map<number, Pass>();
  private highest: Position | 'start' = 'start';
  private mark: Position | 'start' = 'start';
  /** The mark of one period ago: the broker's disk has it by now, also if the power goes. */
  private settledMark: Position | 'start' = 'start';
  private written: Position | 'start' = 'start';
  /** Republished, and not confirmed. */
  private readonly pages = new Set<readonly OutgoingFact[]>();
  private losses = 0;
  private overflowed = false;
  private confirming = false;
  private stopped = false;
  private readonly cancels: Cancel[] = [];

  constructor(private readonly ports: PublisherPorts) {}

  async start(): Promise<void> {
    await this.ports.store.setStreamMetadata(PUBLISHED_STREAM, { maxCount: MARKS_KEPT });
    this.every(0, CONFIRM_EVERY_MS, () => this.confirm());
    this.every(1, MARK_EVERY_MS, () => this.writeMark());
  }

  /** What is not confirmed by now lies beyond the mark: the next owner publishes it. */
  async stop(): Promise<void> {
    this.stopped = true;
    for (const cancel of this.cancels) cancel();
    await this.confirm().then(
      () => this.writeMark(),
      () => undefined,
    );
  }

  /** To be called before an append of facts, and to be ended by `publish` or `abandon`. */
  begin(): PublishTicket {
    const ticket = { beyond: this.highest };
    this.underWay.add(ticket);
    return ticket;
  }

  abandon(ticket: PublishTicket): void {
    this.underWay.delete(ticket);
  }

  /** The facts of one append, durable now, in the order of their stream. */
  publish(ticket: PublishTicket, facts: readonly OutgoingFact[], position: Position): void {
    this.underWay.delete(ticket);
    this.highest = later(this.highest, position);
    this.ports.facts.publish(facts);
    for (const fact of facts) this.remember({ fact, ticket });
  }

  /** Partitions that this instance has just come to own: publishes what lies beyond their marks. */
  async takeOver(partitions: readonly number[]): Promise<void> {
    const known = await this.persistently(() => this.readMarks());
    const after = partitions.map((partition) => known.get(partition) ?? 'start').reduce(earlier);
    const pass: Pass = { end: after };
    // Before the broker has confirmed anything: what lands behind the pass meanwhile is published by whoever hears it.
    for (const partition of partitions) this.passes.set(partition, pass);
    await this.republish(pass, new Set(partitions));
    for (const partition of partitions) if (this.ports.ownership.owns(partition)) this.covered.add(partition);
    this.cancels.push(this.ports.host.timers.after(FORMER_OWNER_MS, () => this.forget(partitions, pass)));
  }

  private forget(partitions: readonly number[], pass: Pass): void {
    for (const partition of partitions) if (this.passes.get(partition) === pass) this.passes.delete(partition);
  }

  release(partitions: readonly number[]): void {
    for (const partition of partitions) {
      this.covered.delete(partition);
      this.passes.delete(partition);
    }
  }

  /** A fact read by whoever is about to act on it: its author may have owned the partition before, and died too early. */
  heard(address: RunAddress, recorded: RecordedEvent): void {
    const pass = this.passes.get(partitionOf(address.runId));
    if (pass === undefined || (pass.end !== 'start' && comparePositions(recorded.position, pass.end) <= 0)) return;
    const fact = outgoingFact(address, recorded);
    this.ports.facts.publish([fact]);
    this.remember({ fact, ticket: { beyond: this.mark } });
  }

  private remember(outgoing: Outgoing): void {
    if (this.unconfirmed.length >= UNCONFIRMED_MAX) this.overflowed = true;
    else this.unconfirmed.push(outgoing);
  }

  private async confirm(): Promise<void> {
    if (this.confirming || (this.unconfirmed.length === 0 && !this.overflowed)) return;
    this.confirming = true;
    const count = this.unconfirmed.length;
    const reached = this.highest;
    try {
      await this.confirmed();
      this.unconfirmed.splice(0, count);
      if (this.overflowed) await this.recoverOverflow();
      this.mark = this.heldBack(reached);
    } finally {
      this.confirming = false;
    }
  }

  /**
   * The broker tells of a loss once, to whoever asks first: that one publishes again all that is in doubt, for whatever
   * purpose it was published, and who asked at the same time asks again.
   */
  private async confirmed(): Promise<void> {
    const { losses } = this;
    try {
      await this.ports.facts.confirm();
    } catch (error) {
      this.losses += 1;
      this.ports.facts.publish([...[...this.pages].flat(), ...this.unconfirmed.map(({ fact }) => fact)]);
      throw error;
    }
    if (this.losses !== losses) throw new BusUnavailable('Facts were lost while their confirmation was under way.');
  }

  private heldBack(reached: Position | 'start'): Position | 'start' {
    let mark = reached;
    for (const ticket of this.underWay) mark = earlier(mark, ticket.beyond);
    for (const { ticket } of this.unconfirmed) mark = earlier(mark, ticket.beyond);
    return mark;
  }

  private async recoverOverflow(): Promise<void> {
    this.overflowed = false;
    await this.republish({ end: this.mark }, new Set(this.covered));
  }

  /** One pass over the log from where it stands to the head; resolves when the broker has confirmed all of it. */
  private async republish(pass: Pass, partitions: ReadonlySet<number>): Promise<void> {
    const after = pass.end;
    const ticket: PublishTicket = { beyond: after };
    this.underWay.add(ticket);
    let page: OutgoingFact[] = [];
    const flush = async (): Promise<void> => {
      await this.storedByBroker(page);
      page = [];
    };
    await this.passOver(after, async (recorded) => {
      pass.end = recorded.position;
      const fact = this.factAgain(recorded, partitions);
      if (fact !== undefined && page.push(fact) >= REPUBLISHED_PAGE) await flush();
    });
    await flush();
    this.underWay.delete(ticket);
  }

  private passOver(after: Position | 'start', onEvent: (recorded: RecordedEvent) => Promise<void>): Promise<void> {
    return new Promise((resolve) => {
      const subscription = this.ports.store.followAll({
        after,
        filter: { by: 'stream-name', prefixes: [RUN_CATEGORY] },
        onEvent,
        onCaughtUp: () => {
          void subscription.close();
          resolve();
        },
      });
    });
  }

  private factAgain(recorded: RecordedEvent, partitions: ReadonlySet<number>): OutgoingFact | undefined {
    const address = runStream.parse(recorded.stream);
    const partition = partitionOf(address.runId);
    if (!partitions.has(partition) || !this.ports.ownership.owns(partition)) return undefined;
    this.highest = later(this.highest, recorded.position);
    return outgoingFact(address, recorded);
  }

  private async storedByBroker(facts: readonly OutgoingFact[]): Promise<void> {
    if (facts.length === 0) return;
    this.pages.add(facts);
    this.ports.facts.publish(facts);
    await this.persistently(() => this.confirmed());
    this.pages.delete(facts);
  }

  /** Broker and store come back; until then what rests on them waits. */
  private async persistently<T>(task: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await task();
      } catch (error) {
        if (this.stopped) throw error;
        this.ports.host.log.warn('publisher: trying again', { reason: String(error) });
        await delay(this.ports.host, RETRY_MS);
      }
    }
  }

  private async readMarks(): Promise<ReadonlyMap<number, Position>> {
    const events = await this.ports.store.read(PUBLISHED_STREAM, { direction: 'backward', from: 'end', limit: MARKS_KEPT });
    const marks = new Map<number, Position>();
    for (const { data } of events) {
      const { position, partitions } = data as StoredMark;
      for (const partition of partitions) marks.set(partition, later(marks.get(partition) ?? 'start', position));
    }
    return marks;
  }

  private async writeMark(): Promise<void> {
    const mark = this.settledMark;
    this.settledMark = this.mark;
    if (mark === 'start' || mark === this.written) return;
    const data: StoredMark = { position: mark, partitions: [...this.covered] };
    await this.ports.store.append(PUBLISHED_STREAM, 'any', [
      { id: this.ports.host.entropy.uuid(), type: 'PublishedUpTo', data, metadata: { schemaVersion: 1 } },
    ]);
    this.written = mark;
  }

  private every(index: number, periodMs: number, task: () => Promise<void>): void {
    const schedule = (delayMs: number): void => {
      this.cancels[index] = this.ports.host.timers.after(delayMs, () => {
        task().then(
          () => schedule(periodMs),
          (error: unknown) => {
            this.ports.host.log.warn('publisher: trying again', { reason: String(error) });
            schedule(RETRY_MS);
          },
        );
      });
    };
    schedule(periodMs);
  }
}

/** The published form of a stored event. */
export function outgoingFact(
  address: RunAddress,
  stored: Pick<RecordedEvent, 'id' | 'type' | 'stream' | 'revision' | 'data' | 'metadata'>,
): OutgoingFact {
  const { id, type, stream, revision, data, metadata } = stored;
  return {
    subject: eventSubject.build(address, type),
    payload: JSON.stringify({ v: 1, id, type, stream, revision, data, metadata }),
    messageId: id,
    headers: { 'perdure-stream': stream, 'perdure-revision': String(revision) },
  };
}

function earlier(left: Position | 'start', right: Position | 'start'): Position | 'start' {
  if (left === 'start' || right === 'start') return 'start';
  return comparePositions(left, right) <= 0 ? left : right;
}

function later(left: Position | 'start', right: Position): Position {
  return left !== 'start' && comparePositions(left, right) > 0 ? left : right;
}
