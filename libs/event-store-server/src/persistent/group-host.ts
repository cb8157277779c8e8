import type { Follower, StoreEngine } from '../engine/store-engine';
import { readCheckpoint, writeCheckpoint } from './checkpoint-stream';
import type { Consumer } from './consumer';
import { contentOf } from './event-content';
import type { GroupEntry } from './group-settings';
import { type GroupReport } from '../wire/persistent-responses';
import { GroupMeter } from './group-report';
import type { Content, Message } from './message';
import { type MessageSource, messageSource } from './message-source';
import { ParkedMessages } from './parked-messages';
import { PersistentSubscriptionError, failed } from './persistent-errors';
import { type GroupPorts, PersistentGroup, type Rejection } from './persistent-group';

/** One group on the engine: gives it events, keeps its state, and runs it when there is something to do. */
export class GroupHost implements Follower {
  private readonly group: PersistentGroup;
  private readonly source: MessageSource;
  private readonly parked: ParkedMessages;
  private readonly meter: GroupMeter;
  private readonly stopFollowing: () => void;
  private checkpoint: number | undefined;
  private isQueued = false;
  private isClosed = false;
  private fault: Error | undefined;

  /** @throws InvalidFilter */
  constructor(
    private readonly engine: StoreEngine,
    readonly entry: GroupEntry,
  ) {
    this.checkpoint = readCheckpoint(engine, entry);
    this.source = messageSource({ engine, entry, after: this.checkpoint ?? entry.startsAfter });
    this.parked = new ParkedMessages(engine, entry);
    this.group = new PersistentGroup(entry.settings, this.ports());
    this.meter = new GroupMeter(engine.nowMs());
    this.stopFollowing = this.source.follow(this);
    this.wake();
  }

  /** Never runs the group within the caller: it may be in the middle of a delivery, or of the group itself. */
  wake(): void {
    if (this.isQueued || this.isClosed) return;
    this.isQueued = true;
    setImmediate(() => {
      this.isQueued = false;
      if (!this.isClosed && this.pump()) this.wake();
    });
  }

  /** @throws PersistentSubscriptionError when there are as many consumers as there may be, or the group has stopped */
  connect(consumer: Consumer): void {
    if (this.fault !== undefined) {
      throw failed(this.entry, `The group has stopped: ${this.fault.message} Restart the persistent subscriptions.`);
    }
    const { maxSubscriberCount } = this.entry.settings;
    if (maxSubscriberCount > 0 && this.group.consumers.size >= maxSubscriberCount) {
      const reason = `Maximum subscriptions reached for ${this.entry.source}::${this.entry.group}.`;
      throw new PersistentSubscriptionError('maximum-subscribers-reached', this.entry, reason);
    }
    this.group.connect(consumer);
    this.wake();
  }

  disconnect(consumer: Consumer): void {
    this.group.disconnect(consumer);
    this.wake();
  }

  acknowledge(ids: readonly string[]): void {
    this.group.acknowledge(ids);
    this.wake();
  }

  reject(ids: readonly string[], rejection: Rejection, reason: string): void {
    this.group.reject(ids, rejection, reason);
    this.wake();
  }

  replayParked(stopAt: number | undefined): void {
    if (!this.parked.beginReplay(stopAt)) return;
    this.group.replayParked();
    this.wake();
  }

  tick(): void {
    this.group.tick(this.engine.nowMs());
    this.parked.truncate();
    this.wake();
  }

  report(): GroupReport {
    const { group, parked, entry } = this;
    const { checkpoint } = this;
    return this.meter.report({ group, entry, checkpoint, parkedCount: parked.count, nowMs: this.engine.nowMs() });
  }

  /** Its consumers are told; what they had is theirs no more. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.stopFollowing();
    this.parked.truncate();
    for (const consumer of [...this.group.consumers.keys()]) consumer.drop();
  }

  /** What cannot be read ends the group and not the server: its state is in the log, where a restart finds it. */
  private pump(): boolean {
    try {
      return this.group.pump(this.engine.nowMs());
    } catch (error) {
      this.fault = error instanceof Error ? error : new Error(String(error));
      this.close();
      return false;
    }
  }

  private ports(): GroupPorts {
    const { engine, entry, source, parked } = this;
    return {
      start: source.start,
      read: (limit) => source.read(limit),
      readParked: (limit) => parked.take(limit),
      onReplayed: (message) => parked.settle(message.place),
      load: (message) => this.load(message),
      park: (message, reason, settled) => {
        const event = this.eventOf(message);
        if (event === undefined) settled(true);
        else parked.park({ event, reason }, (isParked) => this.whileOpen(() => settled(isParked)));
      },
      writeCheckpoint: (place, settled) => {
        const { source: name, group } = entry;
        writeCheckpoint(engine, { source: name, group, place }, (failure) => {
          if (failure === undefined) this.checkpoint = place;
          this.whileOpen(() => settled(failure === undefined));
        });
      },
    };
  }

  private load(message: Message): Content | 'gone' | Error {
    const event = this.eventOf(message);
    if (event === undefined) return 'gone';
    return contentOf(this.engine, event, { resolveLinks: message.isReplayed || this.entry.settings.resolveLinks });
  }

  private eventOf({ place, isReplayed }: Message): number | undefined {
    return isReplayed ? this.parked.eventAt(place) : this.source.eventAt(place);
  }

  private whileOpen(action: () => void): void {
    if (this.isClosed) return;
    action();
    this.wake();
  }
}
