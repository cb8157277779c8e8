export { FIRING_MAX } from './firing';
export { TIMER_EVENT_TYPES } from './timer-facts';
export { TimerKeeper, type TimerOwnership, type TimerPorts } from './timer-keeper';
