import { readLog } from '@perdure/event-store-server';
import type { Host } from '@perdure/kernel';
import { type RawEvent, RawEventStore } from '@perdure/platform-event-store-esdb';
import { BadUsage } from '../cli.errors';

const CONNECTION = /^(esdb|kurrentdb)(\+discover)?:\/\//;

export interface Source {
  /** For people; no credentials. */
  readonly name: string;
  readonly events: AsyncIterable<RawEvent> | Iterable<RawEvent>;
  close(): Promise<void>;
}

/** A server, when `from` is a connection string; otherwise a data folder, which may be served at the same time. */
export function openSource(from: string, host: Pick<Host, 'timers' | 'clock'>): Source {
  if (!CONNECTION.test(from)) return { name: from, events: readLog(from), close: () => Promise.resolve() };
  const store = new RawEventStore({ connectionString: clientString(from), host });
  return { name: withoutSecrets(from), events: store.readAll(), close: () => store.close() };
}

export function openTarget(into: string, host: Pick<Host, 'timers' | 'clock'>): RawEventStore {
  if (!CONNECTION.test(into))
    throw new BadUsage(`--into takes a connection string, such as esdb://127.0.0.1:2113?tls=false, and not ${into}.`);
  return new RawEventStore({ connectionString: clientString(into), host });
}

/** The client of this version knows the older name only. */
function clientString(text: string): string {
  return text.replace(/^kurrentdb/, 'esdb');
}

function withoutSecrets(text: string): string {
  return text.replace(/\/\/[^/?]*@/, '//').replace(/\?.*$/, '');
}
