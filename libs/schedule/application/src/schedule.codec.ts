import { InvariantViolated, Terminal, type EventData, type Host, type KeyRing, type RecordedEvent } from '@perdure/kernel';
import {
  isScheduleEventType,
  SCHEDULE_PAYLOAD_PATHS,
  scheduleEventMetadata,
  scheduleEventSchemas,
  scheduleKeyId,
  type ScheduleAddress,
  type ScheduleEvent,
  type ScheduleEventMetadata,
} from '@perdure/schedule-contract';

// Between facts as the domain sees them and events as they are stored.
//
// 1. With sealing on, no payload leaves this file in clear, also when its key is gone.
// 2. An erased payload decodes to a marker of the same shape: the fold goes on.
// 3. What is sealed is never taken for erased because this service was started without keys.

/** Version of the shapes that are written now. */
const SCHEMA_VERSION = 1;
/** What stands in for text that was erased. */
const ERASED = '(erased)';
/** Stands in for a payload that could not be sealed because its key is gone: it opens to nothing. */
const NOTHING_SEALED = '';

export interface Provenance {
  readonly commandId: string;
  readonly actor: string;
  /** Of the schedule: each has a key of its own. */
  readonly generation: number;
}

/** Made once: a schema is compiled when it is first used. A newer version may say more of its events. */
const STORED_METADATA = scheduleEventMetadata.loose();

type Fields = Record<string, unknown>;

export class ScheduleCodec {
  constructor(private readonly ports: { readonly host: Pick<Host, 'entropy' | 'digest'>; readonly keys?: KeyRing }) {}

  async encode(address: ScheduleAddress, event: ScheduleEvent, provenance: Provenance): Promise<EventData> {
    const { commandId, actor, generation } = provenance;
    const metadata: ScheduleEventMetadata = {
      schemaVersion: SCHEMA_VERSION,
      $correlationId: address.scheduleId,
      $causationId: commandId,
      tenant: address.tenant,
      actor,
    };
    const id = this.ports.host.entropy.uuid();
    const places = (SCHEDULE_PAYLOAD_PATHS[event.type] ?? []).filter((at) => placeAt(event.data, at) !== undefined);
    if (this.ports.keys === undefined || places.length === 0) return { id, type: event.type, data: event.data, metadata };
    const keyId = scheduleKeyId(this.ports.host.digest, { scheduleId: address.scheduleId, generation });
    if (event.type === 'ScheduleCreated') await this.ports.keys.create(address.tenant, keyId);
    const data = JSON.parse(JSON.stringify(event.data)) as Fields;
    const payloads: NonNullable<ScheduleEventMetadata['payloads']> = [];
    for (const at of places) {
      const { parent, key } = placeAt(data, at) as Place;
      const sealed = await this.ports.keys.seal(address.tenant, keyId, JSON.stringify(parent[key]));
      payloads.push({ at, sealed: sealed ?? NOTHING_SEALED });
      parent[key] = standInFor(parent[key]);
    }
    return { id, type: event.type, data, metadata: { ...metadata, payloads, keyId } };
  }

  /** @throws InvariantViolated for what this build does not know */
  async decode({ tenant }: ScheduleAddress, recorded: RecordedEvent): Promise<ScheduleEvent> {
    const { stream, revision, type } = recorded;
    const metadata = STORED_METADATA.parse(recorded.metadata);
    const version = metadata.schemaVersion;
    if (!isScheduleEventType(type) || version > SCHEMA_VERSION)
      throw new InvariantViolated(`${stream}@${revision}: ${type} of version ${version} is not known; a newer version wrote it.`);
    const data = await this.opened(tenant, recorded.data, metadata);
    const parsed = scheduleEventSchemas[type].safeParse(data);
    if (!parsed.success)
      throw new InvariantViolated(
        `${stream}@${revision}: ${type} does not have its shape: ${parsed.error.message.slice(0, 500)}`,
      );
    return { type, data: parsed.data } as ScheduleEvent;
  }

  /** Of what derives from its facts; undefined when its key is gone. */
  async seal({ tenant, scheduleId }: ScheduleAddress, generation: number, text: string): Promise<Sealed | undefined> {
    if (this.ports.keys === undefined) return { text };
    const keyId = scheduleKeyId(this.ports.host.digest, { scheduleId, generation });
    const sealed = await this.ports.keys.seal(tenant, keyId, text);
    return sealed === undefined ? undefined : { text: sealed, keyId };
  }

  async open({ tenant }: ScheduleAddress, { text, keyId }: Sealed): Promise<string | undefined> {
    return keyId === undefined ? text : this.ports.keys?.open(tenant, keyId, text);
  }

  async erase({ tenant, scheduleId }: ScheduleAddress, generation: number): Promise<void> {
    await this.ports.keys?.erase(tenant, scheduleKeyId(this.ports.host.digest, { scheduleId, generation }));
  }

  private async opened(tenant: string, stored: unknown, { payloads = [], keyId }: ScheduleEventMetadata): Promise<unknown> {
    if (keyId === undefined || payloads.length === 0) return stored;
    if (this.ports.keys === undefined)
      throw new Terminal(
        'KeysMissing',
        'The payloads of this schedule are sealed, and this service has no keys. Start it with PERDURE_SEAL=1.',
      );
    const data = JSON.parse(JSON.stringify(stored)) as Fields;
    for (const { at, sealed } of payloads) {
      const place = placeAt(data, at);
      if (place === undefined) throw new InvariantViolated(`A payload was moved from ${at}, which the event does not have.`);
      const { parent, key } = place;
      const text = sealed === NOTHING_SEALED ? undefined : await this.ports.keys.open(tenant, keyId, sealed);
      if (text !== undefined) parent[key] = JSON.parse(text) as unknown;
      else if (typeof parent[key] === 'string') parent[key] = ERASED;
    }
    return data;
  }
}

export interface Sealed {
  readonly text: string;
  readonly keyId?: string;
}

interface Place {
  readonly parent: Fields;
  readonly key: string;
}

function placeAt(data: unknown, at: string): Place | undefined {
  const keys = at.split('.');
  const key = keys.pop() as string;
  let parent: unknown = data;
  for (const step of keys) parent = isFields(parent) ? parent[step] : undefined;
  return isFields(parent) && parent[key] !== undefined ? { parent, key } : undefined;
}

/** Of the shape of what it stands for, so that the event keeps its own when that is gone. */
function standInFor(value: unknown): unknown {
  if (typeof value === 'string') return '';
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? {} : null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
