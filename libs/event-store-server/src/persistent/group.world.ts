import type { Consumer } from './consumer';
import type { Content, Message, Progress, Waiting } from './message';
import { type GroupPorts, PersistentGroup } from './persistent-group';
import type { GroupSettings } from '../wire/persistent-requests';

/** Of the official client, but for the small buffers. */
export const SETTINGS: GroupSettings = {
  start: 'start',
  resolveLinks: false,
  extraStatistics: false,
  messageTimeoutMs: 30_000,
  maxRetryCount: 10,
  checkpointAfterMs: 2000,
  minCheckpointCount: 10,
  maxCheckpointCount: 1000,
  maxSubscriberCount: 0,
  liveBufferSize: 10,
  readBatchSize: 5,
  historyBufferSize: 10,
  strategy: 'RoundRobin',
};

export class FakeConsumer implements Consumer {
  hasRoom = true;
  readonly from = '';
  readonly connectionName = '';
  /** Not yet answered, with how often each was tried. */
  readonly held = new Map<string, number>();
  readonly seen: string[] = [];

  constructor(
    readonly key: string,
    readonly bufferSize = 3,
  ) {}

  deliver({ id }: Content, retryCount: number): void {
    this.held.set(id, retryCount);
    this.seen.push(id);
  }

  drop(): void {
    this.held.clear();
  }
}

/** A stream of `end` events, what a group writes down about it, and the group. */
export class GroupWorld {
  end: number;
  nowMs = 0;
  checkpoint = -1;
  readonly parked: { id: string; reason: string }[] = [];
  readonly replayable: number[] = [];
  readonly replayed: number[] = [];
  readonly gone = new Set<number>();
  readonly damaged = new Set<number>();
  refusesParked = false;
  /** Events with equal numbers share an id. */
  idOf = (place: number): string => String(place);
  bucketOf = (_place: number): number => 0;
  group: PersistentGroup;

  constructor(
    end: number,
    private readonly settings: Partial<GroupSettings> = {},
  ) {
    this.end = end;
    this.group = this.open();
  }

  /** As after a crash: what is written down counts, nothing else. */
  open(): PersistentGroup {
    this.group = new PersistentGroup({ ...SETTINGS, ...this.settings }, this.ports());
    return this.group;
  }

  connect(key: string, bufferSize?: number): FakeConsumer {
    const consumer = new FakeConsumer(key, bufferSize);
    this.group.connect(consumer);
    return consumer;
  }

  /** Until there is nothing left to do. */
  run(): void {
    while (this.group.pump(this.nowMs));
  }

  tick(byMs = 1000): void {
    this.nowMs += byMs;
    this.group.tick(this.nowMs);
    this.run();
  }

  private ports(): GroupPorts {
    let next = this.checkpoint + 1;
    const progress = (): Progress => ({ place: next - 1, ordinal: next - 1 });
    return {
      start: progress(),
      read: (limit) => {
        const messages: Message[] = [];
        for (; next < this.end && messages.length < limit; next += 1) messages.push(this.message(next, { isReplayed: false }));
        return { messages, considered: progress(), isAtHead: next >= this.end };
      },
      readParked: (limit) => this.replayable.splice(0, limit).map((place) => this.message(place, { isReplayed: true })),
      onReplayed: ({ place }) => this.replayed.push(place),
      load: (message) => this.load(message),
      park: (message, reason, settled) => {
        if (!this.refusesParked) this.parked.push({ id: this.id(message), reason });
        settled(!this.refusesParked);
      },
      writeCheckpoint: (place, settled) => {
        this.checkpoint = place;
        settled(true);
      },
    };
  }

  private message(place: number, { isReplayed }: { readonly isReplayed: boolean }): Waiting['message'] {
    return { place, before: place - 1, ordinal: place, isReplayed, bucket: this.bucketOf(place) };
  }

  private id({ place, isReplayed }: Message): string {
    return `${isReplayed ? 'parked-' : ''}${this.idOf(place)}`;
  }

  private load(message: Message): Content | 'gone' | Error {
    if (this.gone.has(message.place)) return 'gone';
    if (this.damaged.has(message.place)) return new Error('damaged');
    return { id: this.id(message), event: undefined, link: undefined, position: message.place };
  }
}
