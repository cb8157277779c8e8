import {
  delay,
  type BlobStore,
  type EventStore,
  type Host,
  type Json,
  type Position,
  type RecordedEvent,
  Retryable,
} from '@perdure/kernel';
import { CHECKPOINT_EVENT_TYPE, KEEPER_TENANT, POINTERS_KEPT, keeperStream } from './keeper-stream';

/** What a keeper knew when it had seen the log up to `position`. */
export interface Checkpoint {
  readonly position: Position;
  readonly index: Json;
}

interface Pointer {
  readonly v: 1;
  readonly blob: string;
  readonly sha256: string;
}

/** Dependencies that come up later than this process are waited for, with this back-off. */
const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 1_000;

/**
 * Saves and finds checkpoints. The index goes to the blob store, durable before the pointer to it is appended; a pointer
 * whose blob is missing or damaged counts as absent, so the worst case is a longer tail to read.
 */
export class Checkpoints {
  private readonly boundedStreams = new Set<string>();

  private stopped = false;

  constructor(private readonly ports: { readonly store: EventStore; readonly blobs: BlobStore; readonly host: Host }) {}

  /** Ends the waiting for a store that is away. */
  stop(): void {
    this.stopped = true;
  }

  /** Usable checkpoints, newest first, at most two; waits while the store or the blob store is away. */
  async *newestFirst(keeperName: string): AsyncGenerator<Checkpoint> {
    const { store, host } = this.ports;
    const stream = keeperStream.build(keeperName);
    const pointers = await this.untilAnswered(() =>
      store.read(stream, { direction: 'backward', from: 'end', limit: POINTERS_KEPT }),
    );
    for (const event of pointers) {
      const found = await this.untilAnswered(() => this.load(event));
      if (found !== undefined) yield found;
      else
        host.log.warn('a checkpoint of a keeper is missing or damaged; falling back', {
          keeper: keeperName,
          revision: event.revision,
        });
    }
  }

  async save(keeperName: string, checkpoint: Checkpoint): Promise<void> {
    const { store, blobs, host } = this.ports;
    const stream = keeperStream.build(keeperName);
    const superseded = await this.prepare(stream);
    const text = JSON.stringify({ v: 1, keeper: keeperName, ...checkpoint });
    const blob = await blobs.put(KEEPER_TENANT, text);
    host.crashPoint('keeper.index-stored');
    const pointer: Pointer = { v: 1, blob, sha256: host.digest.sha256(text) };
    await store.append(stream, 'any', [{ id: host.entropy.uuid(), type: CHECKPOINT_EVENT_TYPE, data: pointer, metadata: {} }]);
    host.crashPoint('keeper.pointer-appended');
    if (superseded !== undefined && superseded !== blob) await blobs.delete(KEEPER_TENANT, superseded);
  }

  /** @returns the blob of the pointer that the next one pushes out */
  private async prepare(stream: string): Promise<string | undefined> {
    const { store } = this.ports;
    if (!this.boundedStreams.has(stream)) {
      const { maxCount } = await store.getStreamMetadata(stream);
      if (maxCount !== POINTERS_KEPT) await store.setStreamMetadata(stream, { maxCount: POINTERS_KEPT });
      this.boundedStreams.add(stream);
    }
    const pointers = (await store.read(stream, { direction: 'backward', from: 'end', limit: POINTERS_KEPT })).map((event) =>
      asPointer(event.data),
    );
    const [newest, oldest] = pointers;
    return pointers.length < POINTERS_KEPT || newest?.blob === oldest?.blob ? undefined : oldest?.blob;
  }

  private async load(event: RecordedEvent): Promise<Checkpoint | undefined> {
    const pointer = asPointer(event.data);
    if (pointer === undefined) return undefined;
    const text = await this.readBlob(pointer.blob);
    if (text === undefined || this.ports.host.digest.sha256(text) !== pointer.sha256) return undefined;
    return asCheckpoint(text);
  }

  private async readBlob(reference: string): Promise<string | undefined> {
    try {
      return await this.ports.blobs.get(KEEPER_TENANT, reference);
    } catch (error) {
      if (error instanceof Retryable) throw error;
      this.ports.host.log.warn('the blob of a checkpoint cannot be read', { reference, error: String(error) });
      return undefined;
    }
  }

  private async untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
    for (let waitMs = RETRY_FIRST_MS; ; waitMs = Math.min(waitMs * 2, RETRY_MAX_MS)) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof Retryable) || this.stopped) throw error;
        this.ports.host.log.warn('waiting for the store to load a checkpoint', { error: error.message });
        await delay(this.ports.host, waitMs);
      }
    }
  }
}

function asPointer(data: unknown): Pointer | undefined {
  const candidate = data as Partial<Pointer> | null;
  return candidate?.v === 1 && typeof candidate.blob === 'string' && typeof candidate.sha256 === 'string'
    ? (candidate as Pointer)
    : undefined;
}

function asCheckpoint(text: string): Checkpoint | undefined {
  const { v, position, index } = JSON.parse(text) as { v?: number } & Partial<Checkpoint>;
  return v === 1 && position !== undefined && index !== undefined ? { position, index } : undefined;
}
