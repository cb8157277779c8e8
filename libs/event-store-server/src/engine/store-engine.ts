import { join } from 'node:path';
import { EventDamaged, type EventStoreServerError, NameTooLong } from '../errors';
import { AppendLog, type LogListener, type LogOptions, SEGMENT_BYTES_DEFAULT } from '../store/append-log';
import { type RecordPlace, eventIdOf, eventTypeOf, putRecord, recordSize, recordedEventOf, streamNameOf } from '../store/record';
import type { RecoveredRecord } from '../store/recovery';
import type { Expected } from '../wire/requests';
import { type PlacedEvent, type ProposedEvent, dataOfRecordedEvent } from '../wire/recorded-event';
import { type AppendVerdict, checkAppend } from './check-append';
import { EventIndex } from './event-index';
import type { StreamEntry } from './stream-entry';
import {
  METADATA_TYPE,
  METASTREAM_PREFIX,
  SOFT_DELETED_METADATA,
  TOMBSTONE_TYPE,
  describedStream,
  parseLimits,
  revivedMetadata,
} from './stream-limits';
import { NAME_BYTES_MAX, isTooLong } from './name-length';
import { newEventId } from './new-event-id';
import { Scavenging } from './scavenging';
import { SegmentIndexer } from './segment-indexer';

// The engine: decides appends against the index, which runs ahead of the disk, and tells followers.
//
// 1. An answer, also a refusal, is given only when all that it rests on is durable.
// 2. Decisions are made one after the other on one thread; nothing awaits between check and append.

export interface AppendRequest {
  readonly stream: string;
  readonly expected: Expected;
  readonly events: readonly ProposedEvent[];
}

export type AppendOutcome =
  | { readonly kind: 'appended'; readonly revision: number; readonly position: number | undefined }
  | { readonly kind: 'wrong-version'; readonly current: number }
  | { readonly kind: 'stream-deleted' }
  | { readonly kind: 'failed'; readonly error: Error };

export type Settled = (outcome: AppendOutcome) => void;

/** Woken after events that concern it became durable. */
export interface Follower {
  wake(): void;
}

export interface EngineOptions extends LogOptions {
  readonly nowMs: () => number;
  /** The log is dead: the process should end. */
  readonly onFailed: (error: EventStoreServerError) => void;
  /** Scavenges by itself when much of the log can be seen by nobody. */
  readonly autoScavenge?: boolean;
}

const EMPTY = Buffer.alloc(0);
/** Deleted at the start, if a scavenge was cut off. */
const SCAVENGE_PART_FILE = 'scavenge.tmp';
const MICROS = 1000;

export class StoreEngine implements LogListener {
  readonly index = new EventIndex();
  private log!: AppendLog;
  private readonly streamFollowers = new Map<StreamEntry, Set<Follower>>();
  private readonly logFollowers = new Set<Follower>();
  private readonly woken = new Set<Follower>();

  readonly scavenging: Scavenging;
  private readonly indexer: SegmentIndexer;

  private constructor(private readonly options: EngineOptions) {
    const { files, folder } = options;
    this.indexer = new SegmentIndexer({ files, folder, index: this.index, idOf: (event) => eventIdOf(this.record(event)) });
    const { indexer } = this;
    this.scavenging = new Scavenging({
      engine: this,
      indexer,
      files,
      segmentBytes: options.segmentBytes ?? SEGMENT_BYTES_DEFAULT,
      partPath: join(folder, SCAVENGE_PART_FILE),
      replace: (path, range) => this.log.replace(path, range),
    });
  }

  static async open(options: EngineOptions): Promise<StoreEngine> {
    const engine = new StoreEngine(options);
    const { indexer } = engine;
    engine.log = await AppendLog.open(options, {
      begin: (base) => indexer.begin(base),
      load: (segment) => indexer.load(segment),
      visit: (records) => engine.recover(records),
      close: (end, bytes) => indexer.close(end, bytes),
    });
    engine.log.listen(engine);
    indexer.start();
    engine.index.visible = engine.index.columns.count;
    for (const metastream of engine.index.metastreams()) engine.reloadLimits(metastream);
    return engine;
  }

  async close(): Promise<void> {
    await this.scavenging.close();
    await this.indexer.stop();
    await this.log.close();
  }

  /** Resolves when nothing is left to be written down of closed segments. */
  settled(): Promise<void> {
    return this.indexer.settled;
  }

  append(request: AppendRequest, settled: Settled): void {
    const tooLong = request.events.some(({ type }) => isTooLong(type));
    if (tooLong) return settled({ kind: 'failed', error: new NameTooLong(NAME_BYTES_MAX) });
    this.attempt(request.stream, settled, () => {
      const stream = this.index.enter(request.stream);
      const verdict = this.check(
        stream,
        request.expected,
        request.events.map((event) => event.id),
      );
      if (verdict.verdict !== 'write') return this.settleVerdict(stream, verdict, settled);
      const outcome = this.write(stream, request.events, verdict.revives);
      this.forgetUnlessWanted(stream);
      this.log.whenDurable((error) => settled(error === undefined ? outcome : { kind: 'failed', error }));
    });
  }

  /** Hides all events of a stream; it may be written again, and then continues its revisions. */
  softDelete(name: string, expected: Expected, settled: Settled): void {
    this.attempt(name, settled, () => {
      const stream = this.index.enter(name);
      const verdict = this.check(stream, expected, []);
      if (verdict.verdict !== 'write') return this.settleVerdict(stream, verdict, settled);
      if (stream.isSoftDeleted) return this.settleVerdict(stream, { verdict: 'stream-deleted' }, settled);
      if (stream.isEmpty && !this.hasMetadata(name)) {
        return this.settleVerdict(stream, { verdict: 'wrong-version', current: -1 }, settled);
      }
      this.append({ stream: METASTREAM_PREFIX + name, expected: 'any', events: [metadataEvent(SOFT_DELETED_METADATA)] }, settled);
    });
  }

  /** Ends a stream for ever, also one that never was. */
  tombstone(name: string, expected: Expected, settled: Settled): void {
    this.attempt(name, settled, () => {
      const stream = this.index.enter(name);
      const verdict = this.check(stream, expected, []);
      if (verdict.verdict !== 'write') return this.settleVerdict(stream, verdict, settled);
      const event = { id: newEventId(), type: TOMBSTONE_TYPE, contentType: 'application/json', data: EMPTY, metadata: EMPTY };
      const position = this.put(stream, event, { isLast: true, isTombstone: true, micros: this.nowMicros() });
      this.log.whenDurable((error) =>
        settled(error === undefined ? { kind: 'appended', revision: stream.lastRevision, position } : { kind: 'failed', error }),
      );
    });
  }

  /** Resolves when everything appended so far is on the disk. @throws what kept it from that */
  durable(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.log.whenDurable((error) => (error === undefined ? resolve() : reject(error)));
    });
  }

  /** Bytes of neighbouring records, valid until the caller returns to the event loop. */
  bytes(position: number, length: number): Buffer {
    return this.log.read(position, length);
  }

  record(event: number): Buffer {
    return this.log.read(this.index.columns.position(event), this.index.columns.length(event));
  }

  get endPosition(): number {
    return this.log.endPosition;
  }

  nowMs(): number {
    return this.options.nowMs();
  }

  followStream(stream: StreamEntry, follower: Follower): () => void {
    const followers = this.streamFollowers.get(stream) ?? new Set();
    this.streamFollowers.set(stream, followers.add(follower));
    return () => {
      followers.delete(follower);
      if (followers.size > 0 || this.streamFollowers.get(stream) !== followers) return;
      this.streamFollowers.delete(stream);
      this.index.leave(stream);
    };
  }

  followLog(follower: Follower): () => void {
    this.logFollowers.add(follower);
    return () => this.logFollowers.delete(follower);
  }

  onDurable(end: number): void {
    const { index } = this;
    const before = index.visible;
    index.showUpTo(end);
    if (this.streamFollowers.size === 0) return;
    for (let event = before; event < index.visible; event += 1) {
      for (const follower of this.streamFollowers.get(index.streamOf(event)) ?? []) this.woken.add(follower);
    }
  }

  onSettled(): void {
    for (const follower of this.logFollowers) follower.wake();
    for (const follower of this.woken) follower.wake();
    this.woken.clear();
  }

  onClosed(end: number): void {
    this.indexer.close(end);
    if (this.options.autoScavenge === true) this.scavenging.look();
  }

  onWithdrawn(end: number): void {
    for (const metastream of this.index.withdraw(end)) this.reloadLimits(metastream);
  }

  onFailed(error: EventStoreServerError): void {
    this.options.onFailed(error);
  }

  private attempt(name: string, settled: Settled, action: () => void): void {
    try {
      if (isTooLong(name)) throw new NameTooLong(NAME_BYTES_MAX);
      this.log.checkAccepts();
    } catch (error) {
      settled({ kind: 'failed', error: error as Error });
      return;
    }
    try {
      action();
    } catch (error) {
      // What has to be compared, or kept, cannot be read: nothing has been written yet.
      if (!(error instanceof EventDamaged)) throw error;
      settled({ kind: 'failed', error });
    }
  }

  private check(stream: StreamEntry, expected: Expected, ids: readonly Buffer[]): AppendVerdict {
    const hasMetadata = expected === 'stream-exists' && this.hasMetadata(stream.name);
    const idOf = (event: number): Buffer => eventIdOf(this.record(event));
    return checkAppend({ index: this.index, stream, hasMetadata, expected, ids, idOf });
  }

  private hasMetadata(name: string): boolean {
    return this.index.find(METASTREAM_PREFIX + name)?.isEmpty === false;
  }

  private settleVerdict(stream: StreamEntry, verdict: Exclude<AppendVerdict, { verdict: 'write' }>, settled: Settled): void {
    this.forgetUnlessWanted(stream);
    const outcome: AppendOutcome =
      verdict.verdict === 'repeat'
        ? { kind: 'appended', revision: verdict.revision, position: this.index.columns.position(verdict.lastEvent) }
        : verdict.verdict === 'wrong-version'
          ? { kind: 'wrong-version', current: verdict.current }
          : { kind: 'stream-deleted' };
    this.log.whenDurable((error) => settled(error === undefined ? outcome : { kind: 'failed', error }));
  }

  /** A name that was only asked for is forgotten, unless somebody waits for it. */
  private forgetUnlessWanted(stream: StreamEntry): void {
    if (!this.streamFollowers.has(stream)) this.index.leave(stream);
  }

  private write(stream: StreamEntry, events: readonly ProposedEvent[], revives: boolean): AppendOutcome {
    let position: number | undefined;
    const micros = this.nowMicros();
    if (revives && events.length > 0) this.writeRevival(stream, micros);
    for (const [at, event] of events.entries()) {
      position = this.put(stream, event, { isLast: at === events.length - 1, isTombstone: false, micros });
    }
    return { kind: 'appended', revision: stream.lastRevision, position };
  }

  /** In the same append as the events that revive the stream: both are there, or neither. */
  private writeRevival(stream: StreamEntry, micros: number): void {
    const metastream = this.index.enter(METASTREAM_PREFIX + stream.name);
    const text = revivedMetadata(this.metadataText(metastream), stream.lastRevision + 1);
    this.put(metastream, metadataEvent(text), { isLast: false, isTombstone: false, micros });
  }

  private put(
    stream: StreamEntry,
    event: ProposedEvent,
    options: { readonly isLast: boolean; readonly isTombstone: boolean; readonly micros: number },
  ): number {
    const { log } = this;
    const position = log.endPosition;
    const placed: PlacedEvent = {
      event,
      streamName: Buffer.from(stream.name, 'utf8'),
      type: Buffer.from(event.type, 'utf8'),
      revision: options.isTombstone ? -1 : stream.lastRevision + 1,
      position,
      created: `${options.micros}0`,
    };
    const place: RecordPlace = { groupStart: log.groupStart, recordedAtMicros: options.micros, lastOfAppend: options.isLast };
    const length = recordSize(placed);
    const { bytes, at } = log.reserve(length);
    putRecord(bytes, at, { placed, place });
    const { revision } = placed;
    this.index.add({ stream, type: event.type, id: event.id, revision, position, length, isTombstone: options.isTombstone });
    const described = describedStream(stream.name);
    if (described !== undefined) this.index.enter(described).limits = parseLimits(event.data.toString('utf8'));
    return position;
  }

  private recover(records: readonly RecoveredRecord[]): void {
    for (const { header, bytes } of records) {
      this.index.add({
        stream: this.index.enter(streamNameOf(bytes)),
        type: eventTypeOf(bytes),
        id: eventIdOf(bytes),
        revision: header.revision,
        position: header.position,
        length: header.length,
        isTombstone: header.revision < 0,
      });
    }
  }

  private reloadLimits(metastream: StreamEntry): void {
    const described = describedStream(metastream.name);
    if (described === undefined) return;
    const stream = metastream.isEmpty ? this.index.find(described) : this.index.enter(described);
    if (stream !== undefined) stream.limits = metastream.isEmpty ? undefined : parseLimits(this.metadataText(metastream));
  }

  private metadataText(metastream: StreamEntry): string {
    if (metastream.isEmpty) return '';
    return dataOfRecordedEvent(recordedEventOf(this.record(metastream.event(metastream.lastRevision)))).toString('utf8');
  }

  private nowMicros(): number {
    return Math.round(this.options.nowMs() * MICROS);
  }
}

function metadataEvent(text: string): ProposedEvent {
  return {
    id: newEventId(),
    type: METADATA_TYPE,
    contentType: 'application/json',
    data: Buffer.from(text, 'utf8'),
    metadata: EMPTY,
  };
}
