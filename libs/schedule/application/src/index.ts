export type { ScheduleOwnership, SchedulePorts } from './ports';
export { ScheduleOwner } from './schedule.owner';
