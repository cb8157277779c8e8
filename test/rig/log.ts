import { EventStoreDBClient } from '@eventstore/db-client';

/** A fact as the log has it, read by the official client of the protocol: not by any code of ours. */
export interface LoggedFact {
  readonly revision: number;
  readonly type: string;
  /** By the clock of the store. */
  readonly atMs: number;
  readonly data: Readonly<Record<string, unknown>>;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** All facts of all runs of the tenant, by run id, in the order of the log. */
export async function readRuns(storeUrl: string, tenant = 'default'): Promise<ReadonlyMap<string, readonly LoggedFact[]>> {
  const prefix = `run-${tenant}.`;
  const client = EventStoreDBClient.connectionString(storeUrl);
  const runs = new Map<string, LoggedFact[]>();
  try {
    for await (const { event } of client.readAll()) {
      if (!event?.streamId.startsWith(prefix)) continue;
      const runId = event.streamId.slice(prefix.length);
      const facts = runs.get(runId) ?? [];
      facts.push({
        revision: Number(event.revision),
        type: event.type,
        atMs: event.created.getTime(),
        data: event.data as LoggedFact['data'],
        metadata: (event.metadata ?? {}) as LoggedFact['metadata'],
      });
      runs.set(runId, facts);
    }
  } finally {
    await client.dispose();
  }
  return runs;
}

interface Entry {
  readonly type: string;
  readonly call: string;
  readonly name?: string;
}

/** When the result of each call of a run was recorded, by call id. */
export function recordedAt(facts: readonly LoggedFact[]): ReadonlyMap<string, number> {
  const recorded = new Map<string, number>();
  for (const { type, data, atMs } of facts) {
    if (type === 'EffectConfirmed') recorded.set(String(data.call), atMs);
    if (type !== 'StepsRecorded') continue;
    for (const entry of data.entries as readonly Entry[]) if (entry.type === 'step') recorded.set(entry.call, atMs);
  }
  return recorded;
}
