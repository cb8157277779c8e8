import type {
  FiringCause,
  FiringResult,
  OverlapPolicy,
  ScheduleSpec,
  SkipReason,
  StartedBySchedule,
} from '@perdure/schedule-contract';

/** The folded state of a schedule: plain JSON of bounded size, so that a snapshot is its text. */
export type ScheduleState = NoSchedule | KnownSchedule;

export interface NoSchedule {
  readonly status: 'none';
}

export interface FiringTime {
  readonly nominalAtMs: number;
  readonly cause: FiringCause;
}

export interface OpenFiring extends FiringTime {
  readonly runId: string;
  readonly decidedAtMs: number;
  readonly version: number;
  /** `due`: the owner of the run has not answered yet. */
  readonly status: 'due' | 'started';
  readonly cancel?: 'wanted' | 'requested';
}

export interface EndedFiring extends FiringTime {
  readonly runId: string;
  readonly decidedAtMs: number;
  readonly endedAtMs: number;
  readonly result: FiringResult;
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly reaction: 'terminal' | 'retryable' | 'cancelled' | 'suspended';
  };
}

export interface Backfill {
  readonly id: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly overlap: OverlapPolicy;
  /** Its times up to here are decided. */
  readonly doneUntilMs: number;
}

/** What a version starts, and who says so. */
export interface Ordered {
  readonly start: StartedBySchedule;
  readonly by: string;
}

export interface KnownSchedule {
  readonly status: 'live' | 'deleted';
  /** Of a deleted one: nothing is left to be started, and what it was to start with is gone. */
  readonly erased?: true;
  readonly spec: ScheduleSpec;
  /** Of all specifications that the stream has seen. */
  readonly version: number;
  readonly generation: number;
  readonly createdAtMs: number;
  readonly createdBy: string;
  readonly changedAtMs: number;
  readonly paused?: {
    readonly because: 'asked' | 'failures';
    readonly note?: string;
    readonly by: string;
    readonly atMs: number;
  };
  /** Each of its times up to here has been decided, or is none. */
  readonly doneUntilMs: number;
  /** What versions start, of those that open firings need. */
  readonly starts: Readonly<Record<string, Ordered>>;
  /** Oldest first. */
  readonly open: readonly OpenFiring[];
  readonly buffer: readonly FiringTime[];
  readonly backfills: readonly Backfill[];
  /** Newest last. */
  readonly recent: readonly EndedFiring[];
  readonly recentlySkipped: readonly (FiringTime & { readonly reason: SkipReason })[];
  readonly askedIds: readonly string[];
  /** In this generation, by its times. */
  readonly fired: number;
  readonly skipped: number;
  readonly missed: number;
  readonly completed: number;
  readonly notCompleted: number;
  readonly failuresInARow: number;
}

export const noSchedule: NoSchedule = { status: 'none' };

export function isLive(state: ScheduleState): state is KnownSchedule & { readonly status: 'live' } {
  return state.status === 'live';
}

/** Firings by its times that are left to it; undefined = any number. */
export function remainingOf({ spec, fired }: KnownSchedule): number | undefined {
  return spec.firingsMax === undefined ? undefined : Math.max(0, spec.firingsMax - fired);
}

/** Whether its times count at all now. */
export function isTicking(state: KnownSchedule): boolean {
  return state.status === 'live' && state.paused === undefined && remainingOf(state) !== 0;
}
