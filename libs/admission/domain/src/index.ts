export type { CapacityChange, CapacityFact } from './capacity-fact';
export { PermitLedger, type Ends, type LedgerChange } from './permit-ledger';
export { PoolQueue, QUEUE_MAX, type PlacedRun } from './pool-queue';
export { poolKey, recordKey, type PermitState, type RunKey, type RunRecord } from './run-record';
export { LOOP_LAG_MAX_MS, WORKER_SILENT_MS, Workers, type Placement, type Session } from './workers';
