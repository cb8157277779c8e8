import { utf8Bytes } from '@perdure/kernel';
import { pendingEffects, type ScheduleState } from '@perdure/schedule-domain';
import type { ScheduleActor } from './schedule.actor';

// Schedules that are held in memory. What is not held is read when it is looked at, asked for, or appended to by another.
//
// 1. One that has something under way is never let go of: nothing would remember to go on with it.
// 2. Those that were used least recently go first.

/** Estimated bytes of states: some ten thousand schedules of a usual size, or a thousand of the largest. */
export const HELD_BYTES_MAX = 64 * 1_024 * 1_024;
/** Looked at for one that may go, each time that one is used: what is busy now is not busy the next time. */
const CANDIDATES_MAX = 8;
/** Of a firing, waiting, under way or remembered. */
const FIRING_BYTES = 300;
/** Of whatever else an actor is made of. */
const ACTOR_BYTES = 2_000;

interface Entry {
  readonly actor: ScheduleActor;
  bytes: number;
}

export class HeldActors {
  /** The one that was used least recently first. */
  private readonly entries = new Map<string, Entry>();
  private bytes = 0;

  constructor(private readonly bytesMax = HELD_BYTES_MAX) {}

  get size(): number {
    return this.entries.size;
  }

  get estimatedBytes(): number {
    return this.bytes;
  }

  *[Symbol.iterator](): IterableIterator<readonly [string, ScheduleActor]> {
    for (const [stream, { actor }] of this.entries) yield [stream, actor];
  }

  get(stream: string): ScheduleActor | undefined {
    return this.entries.get(stream)?.actor;
  }

  /** It is used now. */
  use(stream: string, make: () => ScheduleActor): ScheduleActor {
    const entry = this.entries.get(stream) ?? { actor: make(), bytes: 0 };
    this.entries.delete(stream);
    this.entries.set(stream, entry);
    return entry.actor;
  }

  /** It holds this now. */
  note(stream: string, state: ScheduleState): void {
    const entry = this.entries.get(stream);
    if (entry === undefined) return;
    const bytes = estimateOf(state);
    this.bytes += bytes - entry.bytes;
    entry.bytes = bytes;
  }

  delete(stream: string): void {
    this.bytes -= this.entries.get(stream)?.bytes ?? 0;
    this.entries.delete(stream);
  }

  /** Lets go of what is too much. */
  trim(): void {
    let looked = 0;
    for (const [stream, { actor }] of this.entries) {
      if (this.bytes <= this.bytesMax || looked === CANDIDATES_MAX) return;
      looked += 1;
      if (mayGo(actor)) this.delete(stream);
    }
  }
}

function mayGo({ isBusy, state }: ScheduleActor): boolean {
  return !isBusy && state !== undefined && pendingEffects(state).length === 0;
}

function estimateOf(state: ScheduleState): number {
  if (state.status === 'none') return ACTOR_BYTES;
  const { spec, starts, open, buffer, recent, recentlySkipped } = state;
  const firings = open.length + buffer.length + recent.length + recentlySkipped.length;
  const others = Object.values(starts).filter(({ start }) => start !== spec.start);
  return ACTOR_BYTES + bytesOf(spec) + others.reduce((sum, { start }) => sum + bytesOf(start), 0) + FIRING_BYTES * firings;
}

/** Of what stays the same from fact to fact. */
const measured = new WeakMap<object, number>();

function bytesOf(value: object): number {
  const known = measured.get(value);
  if (known !== undefined) return known;
  const bytes = utf8Bytes(JSON.stringify(value));
  measured.set(value, bytes);
  return bytes;
}
