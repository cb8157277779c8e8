import {
  Retryable,
  type BlobStore,
  type EventStore,
  type Host,
  type Json,
  type Position,
  type RecordedEvent,
} from '@perdure/kernel';
import { CHECKPOINT_EVENT_TYPE, KEEPER_TENANT, POINTERS_KEPT, keeperStream } from './keeper-stream';
import { untilAnswered } from './until-answered';

/** What a keeper knew when it had seen the log up to `position`: JSON text, in the parts in which it gave it. */
export interface Checkpoint {
  readonly position: Position;
  readonly parts: readonly string[];
}

interface PartReference {
  readonly blob: string;
  readonly sha256: string;
}

interface Pointer {
  readonly v: 1;
  readonly position: Position;
  readonly parts: readonly PartReference[];
}

/**
 * Saves and finds checkpoints. The index goes to the blob store, durable before the pointer to it is appended; a pointer
 * whose blob is missing or damaged counts as absent, so the worst case is a longer tail to read.
 */
export class Checkpoints {
  private readonly boundedStreams = new Set<string>();

  constructor(
    private readonly ports: {
      readonly store: EventStore;
      readonly blobs: BlobStore;
      readonly host: Host;
      /** Ends the waiting for a store that is away. */
      isStopped(): boolean;
    },
  ) {}

  /** Usable checkpoints, newest first, at most two; waits while the store or the blob store is away. */
  async *newestFirst(keeperName: string): AsyncGenerator<Checkpoint> {
    const { store, host } = this.ports;
    const stream = keeperStream.build(keeperName);
    const pointers = await untilAnswered(this.ports, () =>
      store.read(stream, { direction: 'backward', from: 'end', limit: POINTERS_KEPT }),
    );
    for (const event of pointers) {
      const found = await untilAnswered(this.ports, () => this.load(event));
      if (found !== undefined) yield found;
      else
        host.log.warn('a checkpoint of a keeper is missing or damaged; falling back', {
          keeper: keeperName,
          revision: event.revision,
        });
    }
  }

  /** `parts` are asked for one at a time, each after the one before is stored. */
  async save(keeperName: string, position: Position, parts: Iterable<Json>): Promise<void> {
    const { store, host } = this.ports;
    const stream = keeperStream.build(keeperName);
    const pointers = await this.prepare(stream);
    const stored: PartReference[] = [];
    for (const part of parts) stored.push(await this.store(part));
    host.crashPoint('keeper.index-stored');
    const pointer: Pointer = { v: 1, position, parts: stored };
    const event = { id: host.entropy.uuid(), type: CHECKPOINT_EVENT_TYPE, data: pointer, metadata: {} };
    await store.append(stream, 'any', [event]);
    host.crashPoint('keeper.pointer-appended');
    await this.deleteSuperseded([pointer, ...pointers]);
  }

  private async store(part: Json): Promise<PartReference> {
    const text = JSON.stringify(part);
    const blob = await this.ports.blobs.put(KEEPER_TENANT, text);
    return { blob, sha256: this.ports.host.digest.sha256(text) };
  }

  /** Parts that only the pointer names which has just been pushed out; `pointers` are newest first. */
  private async deleteSuperseded(pointers: readonly Pointer[]): Promise<void> {
    const blobsOf = (some: readonly Pointer[]): string[] => some.flatMap(({ parts }) => parts.map(({ blob }) => blob));
    const kept = new Set(blobsOf(pointers.slice(0, POINTERS_KEPT)));
    const superseded = blobsOf(pointers.slice(POINTERS_KEPT)).filter((blob) => !kept.has(blob));
    for (const blob of new Set(superseded)) await this.ports.blobs.delete(KEEPER_TENANT, blob);
  }

  /** @returns the pointers that are there, newest first */
  private async prepare(stream: string): Promise<readonly Pointer[]> {
    const { store } = this.ports;
    if (!this.boundedStreams.has(stream)) {
      const { maxCount } = await store.getStreamMetadata(stream);
      if (maxCount !== POINTERS_KEPT) await store.setStreamMetadata(stream, { maxCount: POINTERS_KEPT });
      this.boundedStreams.add(stream);
    }
    const events = await store.read(stream, { direction: 'backward', from: 'end', limit: POINTERS_KEPT });
    return events.map((event) => asPointer(event.data)).filter((pointer) => pointer !== undefined);
  }

  private async load(event: RecordedEvent): Promise<Checkpoint | undefined> {
    const pointer = asPointer(event.data);
    if (pointer === undefined) return undefined;
    const parts: string[] = [];
    for (const { blob, sha256 } of pointer.parts) {
      const text = await this.readBlob(blob);
      if (text === undefined || this.ports.host.digest.sha256(text) !== sha256) return undefined;
      parts.push(text);
    }
    return { position: pointer.position, parts };
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
}

function asPointer(data: unknown): Pointer | undefined {
  const { v, position, parts } = (data ?? {}) as Partial<Pointer>;
  return v === 1 && typeof position?.commit === 'string' && Array.isArray(parts) ? (data as Pointer) : undefined;
}
