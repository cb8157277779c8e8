export { assign, type PartitionMap } from './assignment';
export { PartitionOwnership, type PartitionOwnershipOptions } from './partition-ownership';
