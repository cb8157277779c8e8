import {
  EventStoreDBClient,
  type AllStreamRecordedEvent,
  type RecordedEvent as StreamRecordedEvent,
} from '@eventstore/db-client';
import type { RecordedEvent } from '@perdure/kernel';

type Fields = Readonly<Record<string, unknown>>;

/** A fact as the log has it, read by the official client of the protocol: not by any code of ours. */
export interface LoggedFact extends RecordedEvent {
  readonly data: Fields;
  readonly metadata: Fields;
}

/** All facts of all runs of the tenant, by run id, in the order of the log. */
export function readRuns(storeUrl: string, tenant = 'default'): Promise<ReadonlyMap<string, readonly LoggedFact[]>> {
  return readStreams(storeUrl, `run-${tenant}.`);
}

/** All facts of some runs; for a log that is too long to be read. */
export async function readSomeRuns(
  storeUrl: string,
  runIds: readonly string[],
  tenant = 'default',
): Promise<ReadonlyMap<string, readonly LoggedFact[]>> {
  const client = EventStoreDBClient.connectionString(storeUrl);
  const runs = new Map<string, readonly LoggedFact[]>();
  try {
    for (const runId of runIds) {
      const facts: LoggedFact[] = [];
      for await (const { event } of client.readStream(`run-${tenant}.${runId}`)) if (event) facts.push(factOf(event));
      runs.set(runId, facts);
    }
  } finally {
    await client.dispose();
  }
  return runs;
}

/** All facts of the schedules of the tenant, by schedule id. */
export function readSchedules(storeUrl: string, tenant = 'default'): Promise<ReadonlyMap<string, readonly LoggedFact[]>> {
  return readStreams(storeUrl, `schedule-${tenant}.`);
}

/** By what follows the prefix in the name of the stream. */
async function readStreams(storeUrl: string, prefix: string): Promise<ReadonlyMap<string, readonly LoggedFact[]>> {
  const client = EventStoreDBClient.connectionString(storeUrl);
  const runs = new Map<string, LoggedFact[]>();
  try {
    for await (const { event } of client.readAll()) {
      if (!event?.streamId.startsWith(prefix)) continue;
      const runId = event.streamId.slice(prefix.length);
      const facts = runs.get(runId) ?? [];
      facts.push(factOf(event));
      runs.set(runId, facts);
    }
  } finally {
    await client.dispose();
  }
  return runs;
}

function factOf(event: AllStreamRecordedEvent | StreamRecordedEvent): LoggedFact {
  return {
    id: event.id,
    stream: event.streamId,
    type: event.type,
    revision: Number(event.revision),
    position: { commit: String(event.position?.commit), prepare: String(event.position?.prepare) },
    recordedAtMs: event.created.getTime(),
    data: event.data as Fields,
    metadata: (event.metadata ?? {}) as Fields,
  };
}

interface Entry {
  readonly type: string;
  readonly name?: string;
}

/** When each result of a run was recorded, by the store's clock: of steps by name, of tools by call. */
export function recordedAt(facts: readonly LoggedFact[]): ReadonlyMap<string, number> {
  const recorded = new Map<string, number>();
  for (const { type, data, recordedAtMs } of facts) {
    if (type === 'EffectConfirmed') recorded.set(String(data.call), recordedAtMs);
    if (type !== 'StepsRecorded') continue;
    for (const { type: kind, name } of data.entries as readonly Entry[])
      if (kind === 'step' && name !== undefined) recorded.set(name, recordedAtMs);
  }
  return recorded;
}
