import {
  AppendRefused,
  type AppendResult,
  type EventData,
  type EventStore,
  type ExpectedRevision,
  type FollowAllOptions,
  type FollowStreamOptions,
  type Position,
  type ReadOptions,
  type RecordedEvent,
  StoreUnavailable,
  type StreamMetadata,
  type Subscription,
} from '@perdure/kernel';
import { MemoryFollowing, type MemoryFollowingOptions, matcherOf, startOf } from './memory-following';
import { type MemoryLog, positionOf } from './memory-log';

/** One client of a shared log, without a process, a disk or a clock of its own. */
export class MemoryEventStore implements EventStore {
  private readonly followings = new Set<MemoryFollowing>();
  private isClosed = false;

  constructor(private readonly log: MemoryLog) {}

  async append(stream: string, expected: ExpectedRevision, events: readonly EventData[]): Promise<AppendResult> {
    this.checkOpen();
    const result = this.log.append(stream, expected, events);
    if (result.outcome === 'refused') throw new AppendRefused(result.reason);
    if (result.outcome === 'wrong-revision') return result;
    return { outcome: 'appended', revision: result.revision, position: positionOf(Math.max(0, result.index)) };
  }

  async read(stream: string, { direction, from, limit }: ReadOptions): Promise<readonly RecordedEvent[]> {
    this.checkOpen();
    const isForward = direction === 'forward';
    const indexes = this.log.visible(stream).filter((index) => {
      const revision = this.log.revisionOf(index);
      if (typeof from === 'number') return isForward ? revision >= from : revision <= from;
      return (from === 'start') === isForward || (!isForward && revision === 0);
    });
    const ordered = isForward ? indexes : [...indexes].reverse();
    return ordered.slice(0, limit).map((index) => this.log.event(index));
  }

  async readAll({
    after,
    limit,
  }: {
    readonly after: Position | 'start';
    readonly limit: number;
  }): Promise<readonly RecordedEvent[]> {
    this.checkOpen();
    const found: RecordedEvent[] = [];
    for (let index = startOf(this.log, after); index < this.log.length && found.length < limit; index += 1) {
      found.push(this.log.event(index));
    }
    return found;
  }

  follow(stream: string, options: FollowStreamOptions): Subscription {
    const { after } = options;
    const afterRevision = typeof after === 'number' ? after : after === 'end' ? this.log.lastRevision(stream) : -1;
    return this.track({
      log: this.log,
      from: this.log.indexAfter(stream, afterRevision),
      matches: (index) => this.log.streamOf(index) === stream && this.log.revisionOf(index) >= this.log.firstVisible(stream),
      onEvent: (event) => options.onEvent(event),
      onCaughtUp: () => options.onCaughtUp?.(),
    });
  }

  followAll(options: FollowAllOptions): Subscription {
    return this.track({
      log: this.log,
      from: startOf(this.log, options.after),
      matches: matcherOf(this.log, options.filter),
      onEvent: (event) => options.onEvent(event),
      onCheckpoint: (position) => options.onCheckpoint?.(position),
      onCaughtUp: () => options.onCaughtUp?.(),
    });
  }

  async setStreamMetadata(stream: string, metadata: StreamMetadata): Promise<void> {
    this.checkOpen();
    this.log.setMetadata(stream, metadata);
  }

  async getStreamMetadata(stream: string): Promise<StreamMetadata> {
    this.checkOpen();
    return this.log.metadataOf(stream);
  }

  async close(): Promise<void> {
    this.isClosed = true;
    await Promise.all([...this.followings].map((following) => following.close()));
  }

  private track(options: MemoryFollowingOptions): Subscription {
    const following = new MemoryFollowing(options);
    this.followings.add(following);
    return {
      close: async () => {
        this.followings.delete(following);
        await following.close();
      },
    };
  }

  private checkOpen(): void {
    if (this.isClosed) throw new StoreUnavailable('The event store client is closed.');
  }
}
