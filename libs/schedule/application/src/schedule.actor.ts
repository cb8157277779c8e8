import { StoreUnavailable, type Decider, type ErrorRecord, type Host } from '@perdure/kernel';
import type { ScheduleAddress, ScheduleEvent } from '@perdure/schedule-contract';
import type { GivenCommand, ScheduleState } from '@perdure/schedule-domain';
import type { Held, ScheduleLog } from './schedule.log';

/**
 * One schedule, in memory, at its owner: commands are judged one after another.
 *
 * 1. Nothing is answered or done before the append that it rests on is acknowledged.
 * 2. A refused append drops the state: the command is judged again on what the log says.
 * 3. An answer that rests on no append rests on a look at the log.
 */

/** How often a command is judged anew after a refused append before the caller is told to try again. */
const FENCED_MAX = 3;

export type Judged =
  { readonly accepted: true; readonly state: ScheduleState } | { readonly accepted: false; readonly rejection: ErrorRecord };

export interface ActorPorts {
  readonly host: Host;
  readonly log: ScheduleLog;
  readonly decider: Decider<GivenCommand, ScheduleEvent, ScheduleState, ErrorRecord>;
  /** It was read, or appended to. Must not throw. */
  onState(address: ScheduleAddress, held: Held): void;
}

/** Everything of a command but the time, which is that of its judgement. */
export type Asked = Omit<GivenCommand, 'nowMs'>;

export class ScheduleActor {
  private held: Held | undefined;
  private last: Promise<unknown> = Promise.resolve();
  /** Under way, or in line. */
  private turns = 0;

  constructor(
    readonly address: ScheduleAddress,
    private readonly ports: ActorPorts,
  ) {}

  get state(): ScheduleState | undefined {
    return this.held?.state;
  }

  get isBusy(): boolean {
    return this.turns > 0;
  }

  /** The log holds this revision: what is older is not worth keeping. */
  isBefore(revision: number): boolean {
    return this.held !== undefined && this.held.revision < revision;
  }

  /** Reads it, if it is not held. */
  settled(): Promise<ScheduleState> {
    return this.inTurn(async () => (await this.load()).state);
  }

  /** What the log says now. */
  async fresh(): Promise<ScheduleState> {
    return this.inTurn(async () => {
      const held = await this.load();
      if (await this.ports.log.isHead(this.address, held.revision)) return held.state;
      this.held = undefined;
      return (await this.load()).state;
    });
  }

  /** `nowMs`: asked for when its turn has come. */
  submit(asked: Asked, nowMs: () => number): Promise<Judged> {
    return this.inTurn(() => this.judge(asked, nowMs));
  }

  private inTurn<T>(task: () => Promise<T>): Promise<T> {
    this.turns += 1;
    const done = this.last.then(task).finally(() => (this.turns -= 1));
    this.last = done.catch(() => undefined);
    return done;
  }

  private async judge(asked: Asked, nowMs: () => number): Promise<Judged> {
    for (let fenced = 0; fenced <= FENCED_MAX; fenced += 1) {
      const before = await this.load();
      const decision = this.ports.decider.decide({ ...asked, nowMs: nowMs() }, before.state);
      const events = 'accepted' in decision ? decision.accepted : [];
      const isCurrent =
        events.length > 0 ? this.commit(before, events, asked) : this.ports.log.isHead(this.address, before.revision);
      if (await isCurrent) {
        this.ports.host.crashPoint('schedule.before-answer');
        if ('rejected' in decision) return { accepted: false, rejection: decision.rejected };
        return { accepted: true, state: (this.held ?? before).state };
      }
      this.held = undefined;
    }
    throw new StoreUnavailable('Another instance is appending to this schedule. Ask again: its owner will answer.');
  }

  private async commit(before: Held, events: readonly ScheduleEvent[], { id, by }: Asked): Promise<boolean> {
    const { host, log, decider } = this.ports;
    const state = events.reduce((so, event) => decider.evolve(so, event), before.state);
    const generation = state.status === 'none' ? 0 : state.generation;
    const stored = await log.encode(this.address, events, { commandId: id, actor: by, generation });
    host.crashPoint('schedule.before-append');
    let isAppended: boolean;
    try {
      isAppended = await log.append(this.address, before.revision, stored);
    } catch (error) {
      this.held = undefined;
      throw error;
    }
    host.crashPoint('schedule.after-append');
    if (!isAppended) return false;
    this.take({ state, revision: before.revision + events.length });
    await log.maybeSnapshot(this.address, before.revision, { state, revision: before.revision + events.length });
    return true;
  }

  private async load(): Promise<Held> {
    if (this.held !== undefined && this.held.revision >= 0) return this.held;
    const held = await this.ports.log.load(this.address);
    this.take(held);
    return held;
  }

  private take(held: Held): void {
    this.held = held;
    this.ports.onState(this.address, held);
  }
}
