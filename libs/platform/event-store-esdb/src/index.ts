export { EsdbEventStore, type EsdbEventStoreOptions } from './esdb-event-store';
export type { RawProposal } from './append-request';
export { RawEventStore, type RawEventStoreOptions } from './raw-event-store';
export type { RawEvent } from '@perdure/platform-event-store-wire';
