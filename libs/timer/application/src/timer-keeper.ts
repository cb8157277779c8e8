import { followHints, type Source } from '@perdure/keeper-application';
import {
  partitionOf,
  type Bus,
  type Cancel,
  type FactMark,
  type Host,
  type RecordedEvent,
  type StoredKeeper,
  type Subscription,
} from '@perdure/kernel';
import { runStream } from '@perdure/run-contract';
import type { DueIndex, OpenTimer } from '@perdure/timer-contract';
import { DueWindow, PAGE } from './due-window';
import { Firing } from './firing';
import { LATE_AFTER_MS, LateRelease } from './late-release';
import { MinHeap } from './min-heap';
import { OpenTimers } from './open-timers';
import { TIMER_EVENT_TYPES, foldTimerFact, type TimerFact } from './timer-facts';

// Keeps due times.
//
// 1. Due is what the wall clock says at the moment of firing; a host timer is only a reason to look at it.
// 2. The wall clock is looked at every second at least, so a jump of it costs a second.
// 3. Every open timer that is in memory and near is in exactly one place: due later, to be tried again, being fired, or
//    another instance's.
// 4. What is late by more than an outage is released at a bounded rate, and what becomes due meanwhile goes before it.
// 5. A heap forgets nothing by itself: whatever comes out of it counts only if that very timer is still open.

/** Who fires: partitions are shared between instances, and an overlap is harmless. */
export interface TimerOwnership {
  owns(partition: number): boolean;
  onChange(listener: () => void): Subscription;
}

export interface TimerPorts {
  readonly bus: Bus;
  readonly host: Host;
  readonly ownership: TimerOwnership;
  readonly index: DueIndex;
}

const WALL_CHECK_MS = 1_000;
/** Closed timers that a heap or a list may still hold, beside as many as are open. */
const STALE_MAX = 10_000;

export class TimerKeeper implements StoredKeeper {
  readonly name = 'timers';
  readonly eventTypes = TIMER_EVENT_TYPES;
  private readonly open: OpenTimers;
  private readonly window: DueWindow;
  private readonly firing: Firing;
  /** By due time, of the wall clock. */
  private readonly due = new MinHeap<OpenTimer>();
  /** By the monotonic clock: a repeat must not depend on a clock that jumps. */
  private readonly again = new MinHeap<OpenTimer>();
  /** Due for long. */
  private readonly late = new LateRelease<OpenTimer>();
  /** Due, and of partitions that this instance does not own. */
  private foreign: OpenTimer[] = [];
  private readonly inFire = new Set<OpenTimer>();
  /** Before the follower has reached the head, the log's timers may have been closed long ago. */
  private isComplete = false;
  private running = false;
  private armed: { readonly atMs: number; readonly cancel: Cancel } | undefined;
  private subscriptions: readonly Subscription[] = [];

  constructor(private readonly ports: TimerPorts) {
    this.firing = new Firing(ports);
    this.open = new OpenTimers(ports.index);
    this.window = new DueWindow(this.open);
  }

  /** How many are open; looks through them all. */
  get pending(): number {
    return this.open.size;
  }

  get saved(): FactMark | undefined {
    return this.open.saved;
  }

  /** The keeper must have been registered with the follower before. */
  start(): void {
    this.running = true;
    this.subscriptions = [
      followHints(this.ports, TIMER_EVENT_TYPES, (hint) => this.learn(hint, 'hint')),
      this.ports.ownership.onChange(() => this.lookAgain()),
    ];
    this.fireDue();
  }

  async close(): Promise<void> {
    this.running = false;
    this.armed?.cancel();
    this.armed = undefined;
    await Promise.all(this.subscriptions.map((subscription) => subscription.close()));
  }

  apply(fact: RecordedEvent): void {
    this.learn(fact, 'log');
  }

  save(upTo: FactMark): Promise<void> {
    return this.open.save(upTo);
  }

  clear(): Promise<void> {
    return this.open.clear();
  }

  caughtUp(): void {
    if (this.isComplete) return;
    this.isComplete = true;
    this.rebuild();
    this.fireDue();
  }

  /** The wall clock was set, and whoever did it says so: otherwise it is noticed within a second. */
  clockWasSet(): void {
    this.fireDue();
  }

  private learn(fact: TimerFact, source: Source): void {
    const timer = foldTimerFact(this.open, fact, source);
    // What the bus tells is news, before the log is read to its end too.
    if (timer !== undefined && (this.isComplete || source === 'hint')) this.add(timer);
  }

  private add(timer: OpenTimer): void {
    if (this.due.size + this.late.size > 2 * this.open.inMemory + STALE_MAX) this.rebuild();
    else if (!this.isComplete || timer.value <= this.open.nearUntilMs) this.due.push(timer.value, timer);
    if (timer.value <= this.ports.host.clock.nowMs()) this.fireDue();
    else this.arm();
  }

  /** The heaps anew: also rids them of what was closed. */
  private rebuild(): void {
    this.due.clear();
    this.again.clear();
    this.late.clear();
    this.foreign = [];
    for (const timer of this.open.near()) if (!this.inFire.has(timer)) this.due.push(timer.value, timer);
  }

  private fetch(): void {
    if (!this.isComplete) return;
    for (const timer of this.window.fetchNear(this.ports.host.clock.nowMs())) this.due.push(timer.value, timer);
    if (this.late.size < PAGE) for (const timer of this.window.fetchOverdue()) this.late.push(timer);
  }

  /** Partitions have come or gone. */
  private lookAgain(): void {
    const foreign = this.foreign;
    this.foreign = [];
    for (const timer of foreign) this.due.push(timer.value, timer);
    this.fireDue();
  }

  private fireDue(): void {
    if (!this.running) return;
    this.fetch();
    while (this.firing.hasRoom) {
      const timer = this.nextDue();
      if (timer === undefined) break;
      if (!this.open.has(timer)) this.firing.forget(timer);
      else if (this.isOwn(timer)) void this.fire(timer);
      else this.setAside(timer);
    }
    this.arm();
  }

  /** Their owner closes them: what piles up here is mostly over. */
  private setAside(timer: OpenTimer): void {
    this.foreign.push(timer);
    if (this.foreign.length > 2 * this.open.inMemory + STALE_MAX)
      this.foreign = this.foreign.filter((other) => this.open.has(other));
  }

  private nextDue(): OpenTimer | undefined {
    const { clock } = this.ports.host;
    if ((this.again.leastKey ?? Infinity) <= clock.monotonicMs()) return this.again.pop();
    const nowMs = clock.nowMs();
    while ((this.due.leastKey ?? Infinity) < nowMs - LATE_AFTER_MS) this.late.push(this.due.pop() as OpenTimer);
    if ((this.due.leastKey ?? Infinity) <= nowMs) return this.due.pop();
    return this.late.take(clock.monotonicMs());
  }

  private async fire(timer: OpenTimer): Promise<void> {
    this.inFire.add(timer);
    const outcome = await this.firing.fire(timer);
    this.inFire.delete(timer);
    if ('closed' in outcome) this.open.settle(timer);
    else if (this.open.has(timer)) this.again.push(this.ports.host.clock.monotonicMs() + outcome.againInMs, timer);
    else this.firing.forget(timer);
    this.fireDue();
  }

  private isOwn({ group }: OpenTimer): boolean {
    return this.ports.ownership.owns(partitionOf(runStream.parse(group).runId));
  }

  /** One host timer, for the earliest reason to look. While all requests are under way, their answers are the reason. */
  private arm(): void {
    if (!this.running || !this.firing.hasRoom) return;
    const atMs = this.nextLookAtMs();
    if (atMs === undefined || (this.armed !== undefined && this.armed.atMs <= atMs)) return;
    const { clock, timers } = this.ports.host;
    this.armed?.cancel();
    const cancel = timers.after(Math.max(0, atMs - clock.monotonicMs()), () => {
      this.armed = undefined;
      this.fireDue();
    });
    this.armed = { atMs, cancel };
  }

  /** By the monotonic clock. */
  private nextLookAtMs(): number | undefined {
    const { clock } = this.ports.host;
    const nowMs = clock.monotonicMs();
    const byWall = [this.due.leastKey, this.isComplete ? this.window.nextFetchAtMs : undefined].flatMap((atMs) => atMs ?? []);
    const lookAtMs = byWall.map((atMs) => nowMs + Math.min(Math.max(0, atMs - clock.nowMs()), WALL_CHECK_MS));
    const overdueAtMs = this.window.hasOverdue && this.late.size < PAGE ? nowMs : undefined;
    const times = [...lookAtMs, overdueAtMs, this.again.leastKey, this.late.nextAtMs(nowMs)].flatMap((atMs) => atMs ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }
}
