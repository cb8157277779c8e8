export { MemoryBroker, type Fate, type MemoryBrokerOptions, type MessageOnItsWay, type StoredFact } from './memory-broker';
export { MemoryConnection } from './memory-connection';
export { mapped } from './subject-pattern';
export { SubjectTree } from './subject-tree';
