export { type AppendRecord, type FoundEvent, type StoreEvidence, type StoreVerdict, judgeStore } from './crash/judge';
export { type SimulatedStoreOptions, type SimulatedStoreReport, crashSimulatedStore } from './crash/simulated-crashes';
