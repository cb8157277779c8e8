export { MemoryEventStore } from './memory-event-store';
export { MemoryLog, type MemoryLogOptions } from './memory-log';
