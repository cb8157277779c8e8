import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { AppendRefused, type AppendResult, StoreUnavailable } from '@perdure/kernel';
import type { RawEventStore } from '@perdure/platform-event-store-esdb';
import { EventRefused, TargetDiffers } from './transfer.errors';
import type { TransferEvent } from './transfer-format';

// A lane a stream: what comes while an append is under way goes together in the next one.
//
// 1. One append a stream is under way at a time: a cluster may take two that were sent together in either order.
// 2. Every append names the exact revision and the ids that the events have: one that was there already is answered alike.
// 3. What is held is bounded: whoever pushes waits.

/** A quarter of what servers accept in one append by default; more would save nothing. */
const APPEND_BYTES_MAX = 256 * 1024;
const APPEND_EVENTS_MAX = 500;
/** Enough to keep a server busy, little enough to be of no account. */
const HELD_BYTES_MAX = 8 * 1024 * 1024;
/** Small events cost more than their bytes. */
const EVENT_OVERHEAD_BYTES = 200;
const ATTEMPTS_MAX = 40;
const BACKOFF_FIRST_MS = 50;
const BACKOFF_MAX_MS = 2000;

interface Lane {
  readonly stream: string;
  waiting: TransferEvent[];
  done: Promise<void>;
}

export class AppendLanes {
  private readonly lanes = new Map<string, Lane>();
  /** Answered "deleted for ever" by the target. */
  readonly deleted = new Set<string>();
  private heldBytes = 0;
  private roomWanted: (() => void)[] = [];
  private failure: Error | undefined;

  constructor(private readonly target: Pick<RawEventStore, 'append'>) {}

  /** Undefined when there is room for more at once. */
  push(event: TransferEvent): Promise<void> | undefined {
    if (this.failure !== undefined) throw this.failure;
    if (this.deleted.has(event.stream)) return undefined;
    this.heldBytes += sizeOf(event);
    const lane = this.lanes.get(event.stream);
    if (lane === undefined) this.open(event);
    else lane.waiting.push(event);
    return this.heldBytes < HELD_BYTES_MAX ? undefined : this.room();
  }

  /** Resolves when nothing of the stream is under way. */
  async settled(stream: string): Promise<void> {
    await this.lanes.get(stream)?.done;
    if (this.failure !== undefined) throw this.failure;
  }

  async allSettled(): Promise<void> {
    while (this.lanes.size > 0) await Promise.all([...this.lanes.values()].map(({ done }) => done));
    if (this.failure !== undefined) throw this.failure;
  }

  /** Nothing more is sent, and nothing is tried again. */
  stop(): void {
    this.failure ??= new StoreUnavailable('The import has ended.');
    this.release([]);
  }

  private async room(): Promise<void> {
    await new Promise<void>((resolve) => this.roomWanted.push(resolve));
    if (this.failure !== undefined) throw this.failure;
  }

  private open(event: TransferEvent): void {
    const lane: Lane = { stream: event.stream, waiting: [event], done: Promise.resolve() };
    this.lanes.set(event.stream, lane);
    lane.done = this.run(lane);
  }

  /** Never rejects: the failure is told to whoever comes next. */
  private async run(lane: Lane): Promise<void> {
    try {
      // What is read in this turn comes along.
      await nextTurn();
      while (lane.waiting.length > 0 && this.failure === undefined) {
        const batch = takeBatch(lane);
        await this.write(batch);
        this.release(batch);
      }
    } catch (error) {
      this.failure ??= error as Error;
    }
    this.release(lane.waiting);
    this.lanes.delete(lane.stream);
  }

  private release(events: readonly TransferEvent[]): void {
    for (const event of events) this.heldBytes -= sizeOf(event);
    if (this.heldBytes >= HELD_BYTES_MAX && this.failure === undefined) return;
    const waiting = this.roomWanted;
    this.roomWanted = [];
    for (const resolve of waiting) resolve();
  }

  private async write(batch: readonly TransferEvent[]): Promise<void> {
    const [first] = batch;
    if (first === undefined || this.deleted.has(first.stream)) return;
    const { stream } = first;
    const last = first.revision + batch.length - 1;
    const result = await this.append(batch);
    if (result.outcome === 'stream-deleted') {
      this.deleted.add(stream);
      return;
    }
    if (result.outcome === 'appended') {
      if (result.revision === last) return;
      throw new TargetDiffers(stream, first.revision, `what was appended there got revision ${result.revision}`);
    }
    const actual = result.actual === 'no-stream' ? -1 : result.actual;
    if (actual < first.revision) throw new TargetDiffers(stream, first.revision, `the stream ends at ${actual} there`);
    if (batch.length === 1) throw new TargetDiffers(stream, first.revision, 'the event there has another id');
    // An earlier import may have ended within this batch; otherwise the halves show where it differs.
    const known = actual < last ? actual - first.revision + 1 : batch.length >> 1;
    await this.write(batch.slice(0, known));
    await this.write(batch.slice(known));
  }

  /** The identical append, until there is an answer. */
  private async append(batch: readonly TransferEvent[]): Promise<AppendResult> {
    const { stream, revision } = batch[0] as TransferEvent;
    const expected = revision === 0 ? 'no-stream' : revision - 1;
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.target.append(stream, expected, batch);
      } catch (error) {
        if (error instanceof AppendRefused) throw new EventRefused({ stream, revision }, error);
        if (!(error instanceof StoreUnavailable) || attempt === ATTEMPTS_MAX || this.failure !== undefined) throw error;
        await sleep(Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (attempt - 1)));
      }
    }
  }
}

function takeBatch(lane: Lane): readonly TransferEvent[] {
  let bytes = 0;
  let count = 0;
  for (const event of lane.waiting) {
    bytes += sizeOf(event);
    if (count > 0 && (bytes > APPEND_BYTES_MAX || count === APPEND_EVENTS_MAX)) break;
    count += 1;
  }
  const batch = lane.waiting.slice(0, count);
  lane.waiting = lane.waiting.slice(count);
  return batch;
}

function sizeOf({ data, metadata, type }: TransferEvent): number {
  return data.length + metadata.length + 2 * type.length + EVENT_OVERHEAD_BYTES;
}
