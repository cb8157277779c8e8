import { InvariantViolated, type EventData, type Host, type RecordedEvent } from '@perdure/kernel';
import { isScheduleEventType, scheduleEventSchemas, type ScheduleAddress, type ScheduleEvent } from '@perdure/schedule-contract';

/** Version of the shapes that are written now. */
const SCHEMA_VERSION = 1;

export interface Provenance {
  readonly commandId: string;
  readonly actor: string;
}

export function encodeScheduleEvent(
  { tenant, scheduleId }: ScheduleAddress,
  { type, data }: ScheduleEvent,
  { host, commandId, actor }: Provenance & { readonly host: Pick<Host, 'entropy'> },
): EventData {
  const metadata = {
    schemaVersion: SCHEMA_VERSION,
    $correlationId: scheduleId,
    $causationId: commandId,
    tenant,
    actor,
  };
  return { id: host.entropy.uuid(), type, data, metadata };
}

/** @throws InvariantViolated for what this build does not know */
export function decodeScheduleEvent({ stream, revision, type, data, metadata }: RecordedEvent): ScheduleEvent {
  const version = (metadata as { readonly schemaVersion?: number } | null)?.schemaVersion ?? SCHEMA_VERSION;
  if (!isScheduleEventType(type) || version > SCHEMA_VERSION)
    throw new InvariantViolated(`${stream}@${revision}: ${type} of version ${version} is not known; a newer version wrote it.`);
  const parsed = scheduleEventSchemas[type].safeParse(data);
  if (!parsed.success)
    throw new InvariantViolated(`${stream}@${revision}: ${type} does not have its shape: ${parsed.error.message.slice(0, 500)}`);
  return { type, data: parsed.data } as ScheduleEvent;
}
