export { assign, type PartitionMap } from './assignment';
export { PartitionOwnership, type PartitionOwnershipOptions } from './partition-ownership';
export { CLOCK_OFF_MAX_MS, ClockWatch } from './clock-watch';
