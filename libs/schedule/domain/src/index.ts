export { runIdOf } from './advance';
export type { ScheduleRules } from './calendar';
export { scheduleDecider, type DecidedCommand, type GivenCommand } from './schedule.decider';
export { nextLookAtMs, pendingEffects, type RunEffect, type ScheduleEffect } from './schedule.effects';
export { evolve } from './schedule.evolve';
export { FiringHistory } from './schedule.history';
export { isLive, noSchedule, type KnownSchedule, type Ordered, type ScheduleState } from './schedule.state';
export { scheduleLineOf, scheduleViewOf } from './schedule.view';
