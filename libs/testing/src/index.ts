export { ManualHost, type LogLine, type ManualHostOptions } from './manual-host';
export { describeBlobStore } from './contract-suites/blob-store.suite';
export { describeKeyRing } from './contract-suites/key-ring.suite';
export { eventStoreContract, type EventStoreFixture } from './contract-suites/event-store.suite';
