import type { Clock, EventData, ExpectedRevision, Position, RecordedEvent, StreamMetadata } from '@perdure/kernel';

export interface MemoryLogOptions {
  /** Runs a follower's next delivery; a simulator puts it in its own order. Default: the microtask queue. */
  readonly schedule?: (task: () => void) => void;
  /** Runs a delivery again after its handler threw. Default: with the next append. */
  readonly retry?: (task: () => void) => void;
  /** The same limit as the server's, so that what is refused there is refused here. */
  readonly appendBytesMax?: number;
}

/** Stored as text: what a reader gets is its own copy, as it would be from a server. */
interface StoredEvent {
  readonly id: string;
  readonly type: string;
  readonly data: string;
  readonly metadata: string | undefined;
  readonly stream: string;
  readonly revision: number;
  readonly recordedAtMs: number;
}

export type MemoryAppendOutcome =
  | { readonly outcome: 'appended'; readonly revision: number; readonly index: number }
  | { readonly outcome: 'wrong-revision'; readonly actual: number | 'no-stream' }
  | { readonly outcome: 'refused'; readonly reason: string };

const APPEND_BYTES_MAX = 1024 * 1024;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * One log, shared by any number of `MemoryEventStore` handles. It outlives them, as a disk outlives
 * processes. Same rules as the server: repeated ids at an exact revision are the same success.
 */
export class MemoryLog {
  readonly schedule: (task: () => void) => void;
  readonly retry: (task: () => void) => void;
  private readonly events: StoredEvent[] = [];
  private readonly streams = new Map<string, number[]>();
  private readonly metadata = new Map<string, StreamMetadata>();
  private readonly listeners = new Set<() => void>();
  private readonly appendBytesMax: number;

  constructor(
    private readonly clock: Pick<Clock, 'nowMs'>,
    options: MemoryLogOptions = {},
  ) {
    this.schedule = options.schedule ?? queueMicrotask;
    this.retry = options.retry ?? (() => undefined);
    this.appendBytesMax = options.appendBytesMax ?? APPEND_BYTES_MAX;
  }

  get length(): number {
    return this.events.length;
  }

  append(stream: string, expected: ExpectedRevision, proposed: readonly EventData[]): MemoryAppendOutcome {
    const refused = this.refusal(stream, proposed);
    if (refused !== undefined) return { outcome: 'refused', reason: refused };
    const indexes = this.streams.get(stream) ?? [];
    const ids = proposed.map(({ id }) => id.toLowerCase());
    const verdict =
      typeof expected === 'string' && expected !== 'no-stream'
        ? this.checkLoose(stream, expected, ids)
        : this.checkExact(indexes, expected, ids);
    if (verdict !== 'write') return verdict;
    for (const event of proposed) this.push(stream, indexes, event);
    if (proposed.length > 0) {
      this.streams.set(stream, indexes);
      for (const listener of this.listeners) listener();
    }
    return { outcome: 'appended', revision: indexes.length - 1, index: indexes[indexes.length - 1] ?? -1 };
  }

  /** Indexes of the events of a stream that its metadata lets a reader see, oldest first. */
  visible(stream: string): readonly number[] {
    const indexes = this.streams.get(stream) ?? [];
    const { maxAgeSeconds } = this.metadata.get(stream) ?? {};
    const first = this.firstVisible(stream);
    const oldestMs = maxAgeSeconds === undefined ? Number.NEGATIVE_INFINITY : this.clock.nowMs() - maxAgeSeconds * 1000;
    return indexes.filter((index, revision) => revision >= first && this.stored(index).recordedAtMs >= oldestMs);
  }

  /** The first revision that metadata does not hide. */
  firstVisible(stream: string): number {
    const { maxCount, truncateBefore } = this.metadata.get(stream) ?? {};
    return Math.max(truncateBefore ?? 0, maxCount === undefined ? 0 : this.lastRevision(stream) + 1 - maxCount);
  }

  /** Where in the log a stream goes on after `revision`: its next event, or the end. */
  indexAfter(stream: string, revision: number): number {
    return this.streams.get(stream)?.[revision + 1] ?? this.events.length;
  }

  lastRevision(stream: string): number {
    return (this.streams.get(stream)?.length ?? 0) - 1;
  }

  event(index: number): RecordedEvent {
    const { data, metadata, ...event } = this.stored(index);
    const parsed: unknown = metadata === undefined ? undefined : JSON.parse(metadata);
    return { ...event, data: JSON.parse(data) as unknown, metadata: parsed, position: positionOf(index) };
  }

  typeOf(index: number): string {
    return this.stored(index).type;
  }

  streamOf(index: number): string {
    return this.stored(index).stream;
  }

  revisionOf(index: number): number {
    return this.stored(index).revision;
  }

  setMetadata(stream: string, metadata: StreamMetadata): void {
    this.metadata.set(stream, structuredClone(metadata));
  }

  metadataOf(stream: string): StreamMetadata {
    return structuredClone(this.metadata.get(stream) ?? {});
  }

  /** Called after each append that added events. */
  onAppend(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private stored(index: number): StoredEvent {
    const event = this.events[index];
    if (event === undefined) throw new RangeError(`The log has no event ${index}.`);
    return event;
  }

  private push(stream: string, indexes: number[], { id, type, data, metadata }: EventData): void {
    this.events.push({
      id: id.toLowerCase(),
      type,
      data: JSON.stringify(data),
      metadata: metadata === undefined || metadata === null ? undefined : JSON.stringify(metadata),
      stream,
      revision: indexes.length,
      recordedAtMs: this.clock.nowMs(),
    });
    indexes.push(this.events.length - 1);
  }

  private refusal(stream: string, proposed: readonly EventData[]): string | undefined {
    if (stream === '') return 'The stream name is empty.';
    let bytes = 0;
    for (const { id, type, data, metadata } of proposed) {
      if (!UUID.test(id)) return `The event id ${JSON.stringify(id)} is not a UUID.`;
      if (type === '') return 'The event type is empty.';
      bytes += byteLength(JSON.stringify(data)) + byteLength(JSON.stringify(metadata) ?? '') + 2 * type.length;
    }
    return bytes > this.appendBytesMax
      ? `The append is larger than the event store accepts (${this.appendBytesMax} bytes).`
      : undefined;
  }

  private checkLoose(stream: string, expected: 'any' | 'stream-exists', ids: readonly string[]): 'write' | MemoryAppendOutcome {
    const indexes = this.streams.get(stream) ?? [];
    if (expected === 'stream-exists' && indexes.length === 0 && !this.metadata.has(stream)) return wrong(indexes);
    const known = ids.map((id) => indexes.findLast((index) => this.stored(index).id === id));
    if (known[0] === undefined) return 'write';
    const last = known[known.length - 1];
    if (last === undefined || known.includes(undefined)) return wrong(indexes);
    return { outcome: 'appended', revision: this.stored(last).revision, index: last };
  }

  private checkExact(
    indexes: readonly number[],
    expected: ExpectedRevision,
    ids: readonly string[],
  ): 'write' | MemoryAppendOutcome {
    const from = typeof expected === 'number' ? expected : -1;
    const current = indexes.length - 1;
    if (from === current) return 'write';
    if (from > current || ids.length === 0) return wrong(indexes);
    const isRepeat = ids.every((id, offset) => {
      const index = indexes[from + 1 + offset];
      return index !== undefined && this.stored(index).id === id;
    });
    const last = indexes[from + ids.length];
    if (!isRepeat || last === undefined) return wrong(indexes);
    return { outcome: 'appended', revision: from + ids.length, index: last };
  }
}

function wrong(indexes: readonly number[]): MemoryAppendOutcome {
  return { outcome: 'wrong-revision', actual: indexes.length === 0 ? 'no-stream' : indexes.length - 1 };
}

function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

/** Far apart like byte offsets, so that nobody is tempted to count with them. */
const POSITION_STEP = 100;

export function positionOf(index: number): Position {
  const text = String(index * POSITION_STEP);
  return { commit: text, prepare: text };
}

export function indexOf({ commit }: Position): number {
  return Number(commit) / POSITION_STEP;
}
