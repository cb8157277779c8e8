import {
  InvariantViolated,
  utf8Bytes,
  type BlobStore,
  type EventData,
  type Host,
  type KeyRing,
  type RecordedEvent,
} from '@perdure/kernel';
import {
  BLOB_THRESHOLD_BYTES,
  eventMetadata,
  isRunEventType,
  runEventSchemas,
  type EventMetadata,
  type RunAddress,
  type RunEvent,
} from '@perdure/run-contract';
import { payloadPlaces, placeAt, type PayloadPlace } from './payload-paths';
import { upcast, SCHEMA_VERSION } from './upcasters';

/**
 * Between facts as the domain sees them and events as they are stored.
 *
 * 1. What is stored is what was decided: decoding an encoded fact gives an equal fact.
 * 2. Large payloads are durable in the blob store before the event that refers to them is appended.
 * 3. With sealing on, no payload field leaves this file in clear, also when its key is gone.
 * 4. An erased payload decodes to a marker of the same shape, never to an error: the fold goes on.
 * 5. The events of one append stay within what the store takes, whatever their payloads are.
 */

/** Where a payload went: at this path stands a stand-in. */
type MovedPayload = { readonly at: string; readonly blob: string } | { readonly at: string; readonly sealed: string };

/** What stands in for text that was erased. */
export const ERASED = '(erased)';

/** Made once: a schema is compiled when it is first used. */
const STORED_METADATA = eventMetadata.loose();

/** A single payload above this leaves a large event. */
const MOVED_BYTES_MIN = 1_024;
/** Payloads of the events of one append; the store takes 1 MiB, and events have more than payloads. */
const APPEND_BYTES_MAX = 600_000;
/** Beyond it a payload above this leaves its event, whatever the size of that event alone. */
const MOVED_BYTES_MIN_CROWDED = 128;
/** Stands in for a payload that could not be sealed because its key is gone: it opens to nothing. */
const NOTHING_SEALED = '';

export interface Provenance {
  readonly commandId: string;
  readonly actor: string;
  readonly traceparent: string | undefined;
}

export interface FactToStore {
  readonly event: RunEvent;
  readonly provenance: Provenance;
  /** In which it was decided; 0 unless the run was rewound. */
  readonly branch?: number;
}

export interface EncodedFacts {
  readonly stored: EventData[];
  /** What they told, before any of it was moved. */
  readonly bytes: number;
}

export class RunCodec {
  constructor(
    private readonly ports: { readonly blobs: BlobStore; readonly keys?: KeyRing; readonly host: Pick<Host, 'entropy'> },
  ) {}

  /** The events of one append. */
  async encodeAll(address: RunAddress, facts: readonly FactToStore[]): Promise<EncodedFacts> {
    const stored = new Array<EventData>(facts.length);
    const bytes = bytesOf(facts);
    const isCrowded = bytes > APPEND_BYTES_MAX;
    const movedBytesMin = isCrowded ? MOVED_BYTES_MIN_CROWDED : undefined;
    for (let index = 0; index < facts.length; index += 1) {
      stored[index] = await this.encode(address, facts[index] as FactToStore, movedBytesMin);
    }
    return { stored, bytes };
  }

  /** `movedBytesMin`: payloads above this leave the event; by default those of large events only. */
  async encode(address: RunAddress, { event, provenance, branch = 0 }: FactToStore, movedBytesMin?: number): Promise<EventData> {
    const metadata: Record<string, unknown> = {
      schemaVersion: SCHEMA_VERSION,
      $correlationId: address.runId,
      $causationId: provenance.commandId,
      tenant: address.tenant,
      actor: provenance.actor,
      branch,
      ...(event.atMs === undefined ? {} : { atMs: event.atMs }),
      ...(provenance.traceparent === undefined ? {} : { traceparent: provenance.traceparent }),
      ...(event.report === undefined ? {} : { report: event.report }),
    };
    const id = this.ports.host.entropy.uuid();
    if (this.ports.keys === undefined && movedBytesMin === undefined && !isLarge(event.data)) {
      return { id, type: event.type, data: event.data, metadata };
    }
    const data: unknown = structuredCopy(event.data);
    const moving = { places: payloadPlaces(event.type, data), movedBytesMin: movedBytesMin ?? MOVED_BYTES_MIN };
    const payloads = await this.movePayloads(address, moving);
    return { id, type: event.type, data, metadata: { ...metadata, ...payloads } };
  }

  private async movePayloads(
    address: RunAddress,
    { places, movedBytesMin }: { readonly places: readonly PayloadPlace[]; readonly movedBytesMin: number },
  ): Promise<Record<string, unknown>> {
    const { keys, blobs } = this.ports;
    const moved: MovedPayload[] = [];
    for (const { at, parent, key } of places) {
      const clear = JSON.stringify(parent[key]);
      if (keys === undefined && clear.length < movedBytesMin) continue;
      const text = keys === undefined ? clear : ((await keys.seal(address.tenant, address.runId, clear)) ?? NOTHING_SEALED);
      if (text.length >= movedBytesMin) moved.push({ at, blob: await blobs.put(address.tenant, text) });
      else moved.push({ at, sealed: text });
      parent[key] = standInFor(parent[key]);
    }
    if (moved.length === 0) return {};
    return keys === undefined ? { payloads: moved } : { payloads: moved, keyId: address.runId };
  }

  async decode(address: RunAddress, recorded: RecordedEvent): Promise<RunEvent> {
    if (!isRunEventType(recorded.type)) {
      throw new InvariantViolated(
        `${recorded.stream}@${recorded.revision}: unknown event type ${recorded.type}. A newer version wrote it; upgrade this one.`,
      );
    }
    const metadata = STORED_METADATA.parse(recorded.metadata) as EventMetadata & { payloads?: readonly MovedPayload[] };
    const data = upcast(recorded.type, metadata.schemaVersion, recorded.data);
    for (const payload of metadata.payloads ?? [])
      await this.restore({ address, sealed: metadata.keyId !== undefined }, data, payload);
    const parsed = runEventSchemas[recorded.type].safeParse(data);
    if (!parsed.success) {
      throw new InvariantViolated(
        `${recorded.stream}@${recorded.revision}: ${recorded.type} does not have its shape: ${parsed.error.message}`,
      );
    }
    return {
      type: recorded.type,
      data: parsed.data,
      ...(metadata.report === undefined ? {} : { report: metadata.report }),
      ...(metadata.atMs === undefined ? {} : { atMs: metadata.atMs }),
    } as RunEvent;
  }

  private async restore(from: { address: RunAddress; sealed: boolean }, data: unknown, payload: MovedPayload): Promise<void> {
    const place = placeAt(data, payload.at);
    if (place === undefined)
      throw new InvariantViolated(`A payload was moved from ${payload.at}, which the event does not have.`);
    const text = await this.textOf(from, payload);
    if (text !== undefined) place.parent[place.key] = JSON.parse(text) as unknown;
    else if (typeof place.parent[place.key] === 'string') place.parent[place.key] = ERASED;
  }

  private async textOf(
    { address, sealed }: { address: RunAddress; sealed: boolean },
    payload: MovedPayload,
  ): Promise<string | undefined> {
    const stored = 'blob' in payload ? await this.ports.blobs.get(address.tenant, payload.blob) : payload.sealed;
    if (stored === undefined || !sealed) return stored;
    return this.ports.keys?.open(address.tenant, address.runId, stored);
  }
}

/** Of the shape of what it stands for, so that the event keeps its own when that is gone. */
function standInFor(value: unknown): unknown {
  if (typeof value === 'string') return '';
  if (Array.isArray(value)) return [];
  return typeof value === 'object' && value !== null ? {} : null;
}

function bytesOf(facts: readonly FactToStore[]): number {
  return facts.reduce((sum, { event }) => sum + utf8Bytes(JSON.stringify(event.data)), 0);
}

function isLarge(data: unknown): boolean {
  return JSON.stringify(data).length > BLOB_THRESHOLD_BYTES;
}

function structuredCopy(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value)) as unknown;
}
