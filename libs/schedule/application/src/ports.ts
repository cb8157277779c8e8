import type { Bus, EventStore, Host, KeyRing, Subscription } from '@perdure/kernel';
import type { ScheduleTimes } from '@perdure/schedule-contract';

/** Which virtual partitions this instance owns; expected revisions make an overlap harmless. */
export interface ScheduleOwnership {
  owns(partition: number): boolean;
  onChange(listener: (gained: readonly number[], lost: readonly number[]) => void): Subscription;
}

/** What the owner of schedules is built on. */
export interface SchedulePorts {
  readonly store: EventStore;
  readonly bus: Bus;
  readonly host: Host;
  /** Absent = payloads stand in the log as they are. */
  readonly keys?: KeyRing;
  readonly ownership: ScheduleOwnership;
  readonly times: ScheduleTimes;
  /** For specs: estimated bytes of the schedules that are held in memory. */
  readonly heldBytesMax?: number;
}
