import type { EventData, EventStore, Position, RecordedEvent } from '@perdure/kernel';

export interface EventStoreFixture {
  readonly store: EventStore;
  /** Before the names of streams and of what is filtered for: empty for a log that is new, unique for one that others use. */
  readonly prefix?: string;
  /** Another client of the same log. */
  another(): EventStore;
  stop(): Promise<void>;
}

let made = 0;

/** Ids that differ within the suite and are the same in every run. */
function eventId(): string {
  made += 1;
  return `00000000-0000-4000-8000-${made.toString(16).padStart(12, '0')}`;
}

export function event(type = 'Happened', data: unknown = { value: made }): EventData {
  return { id: eventId(), type, data, metadata: { tenant: 'acme' } };
}

export function events(count: number, type?: string): EventData[] {
  return Array.from({ length: count }, () => event(type));
}

export function revisionsOf(found: readonly RecordedEvent[]): number[] {
  return found.map(({ revision }) => revision);
}

/** The position from which on a test may read the log as if it were new. */
export async function beginOf({ store, prefix = '' }: EventStoreFixture): Promise<Position> {
  const begun = await store.append(`${prefix}begin`, 'any', [event()]);
  if (begun.outcome !== 'appended') throw new Error(`The log cannot be begun: ${begun.outcome}.`);
  return begun.position;
}

export const FORWARD = { direction: 'forward', from: 'start', limit: 1000 } as const;
