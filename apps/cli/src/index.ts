export { signerDirOf, startStack, type ChildUsage, type Stack, type StackEvent, type StackOptions } from './stack/stack';
export type { ChildEvent, ChildInfo, SupervisedChild } from './stack/child';
export { readStackState, type StackState } from './stack/data-dir';
export { isAlive, type ProcessUsage } from './stack/proc';
export { ROOT, SAMPLE_ENTRY } from './stack/programs';
export { ApprovalsClient } from './approvals-client';
export { SchedulesClient } from './schedules-client';
export { GatewayClient, type Fact, type Outcome, type RunLine, type RunView } from './gateway-client';
export {
  ChildDidNotStart,
  ChildNotReady,
  DataDirInUse,
  DataDirUnusable,
  EntryMissing,
  NatsServerMissing,
  NatsServerTooOld,
  PortTaken,
} from './stack/stack.errors';
