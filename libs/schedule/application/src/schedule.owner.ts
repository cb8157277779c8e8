import { followHints } from '@perdure/keeper-application';
import { delay, partitionOf, Retryable, StoreUnavailable, type Subscription } from '@perdure/kernel';
import { TERMINAL_EVENT_TYPES } from '@perdure/run-contract';
import { schedulePartitionSubject, scheduleStream, scheduledRunId, type ScheduleAddress } from '@perdure/schedule-contract';
import {
  nextLookAtMs,
  pendingEffects,
  scheduleDecider,
  type DecidedCommand,
  type RunEffect,
  type ScheduleRules,
  type ScheduleState,
} from '@perdure/schedule-domain';
import { HeldActors } from './held-actors';
import { ListDesk } from './list-desk';
import { LookOuts } from './look-outs';
import type { SchedulePorts } from './ports';
import { RunErrands } from './run-errands';
import { ScheduleDesk } from './schedule-desk';
import { ScheduleIndex } from './schedule-index';
import { ScheduleActor, type Judged } from './schedule.actor';
import { ScheduleLog, type Held } from './schedule.log';
import { StoreClock } from './store-clock';

const RETRY_MS = 500;
/** Of a hash, in hexadecimal: 48 bits, which a number holds exactly. */
const FRACTION_DIGITS = 12;

/**
 * The owner of the schedules of its partitions.
 *
 * 1. Only the owner of a partition appends to its schedules; an overlap is harmless, since revisions are expected.
 * 2. What is to be done next is computed from state: after each append, and each time that one is read.
 * 3. Nothing is decided as due before the store's own clock says so.
 */
export class ScheduleOwner {
  /** To be driven by the log follower of the process. */
  readonly index: ScheduleIndex;
  private readonly log: ScheduleLog;
  private readonly clock: StoreClock;
  private readonly lookOuts: LookOuts<string>;
  private readonly errands: RunErrands;
  private readonly desk: ScheduleDesk;
  private readonly list: ListDesk;
  private readonly actors: HeldActors;
  private readonly erasing = new Set<string>();
  private readonly listening = new Map<number, Subscription>();
  private subscriptions: readonly Subscription[] = [];
  private stopped = false;

  constructor(private readonly ports: SchedulePorts) {
    const { host } = ports;
    this.actors = new HeldActors(ports.heldBytesMax);
    this.log = new ScheduleLog(ports);
    this.clock = new StoreClock(ports);
    this.index = new ScheduleIndex({
      onFact: (address, revision) => this.onFact(address, revision),
      onEnded: (address, end) => this.tell(address, { type: 'EndFiring', ...end }),
      onCaughtUp: () => void this.takeUp(new Set(this.listening.keys())),
    });
    this.lookOuts = new LookOuts(host, {
      nowMs: () => this.clock.nowMs(),
      prepare: () => this.clock.ready(),
      onDue: (stream) => this.tell(scheduleStream.parse(stream), { type: 'Advance' }),
    });
    this.errands = new RunErrands({
      ...ports,
      isWanted: (address, effect) => this.isWanted(address, effect),
      decide: (address, command) => this.decide(address, command),
    });
    this.desk = new ScheduleDesk({
      host,
      fresh: (address) => this.fresh(address),
      firings: (address, limit) => this.log.firings(address, limit),
      judge: (address, asked) => this.judge(address, asked),
      rulesOf: (address) => this.rulesOf(address),
    });
    this.list = new ListDesk({ ...ports, index: this.index });
  }

  start(): void {
    this.subscriptions = [
      this.list.listen(),
      followHints(this.ports, TERMINAL_EVENT_TYPES, (fact) => this.index.apply(fact)),
      this.ports.ownership.onChange((gained, lost) => {
        this.onLost(lost);
        this.onGained(gained);
      }),
    ];
  }

  /** When there is something to do next, by the clock of the store. */
  get nextLookAtMs(): number | undefined {
    return this.lookOuts.nextAtMs;
  }

  /** The clock of the store was set, and whoever did it says so: otherwise it is noticed within a second or two. */
  clockWasSet(): void {
    this.clock.doubt();
    this.lookOuts.clockWasSet();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    this.lookOuts.stop();
    this.clock.stop();
    await Promise.all(this.subscriptions.map((subscription) => subscription.close()));
    this.onLost([...this.listening.keys()]);
  }

  private onGained(partitions: readonly number[]): void {
    for (const partition of partitions) {
      if (this.listening.has(partition)) continue;
      const subject = schedulePartitionSubject.build(partition);
      this.listening.set(
        partition,
        this.ports.bus.subscribe(subject, (message) => void this.desk.onRequest(message)),
      );
    }
    if (this.index.complete && partitions.length > 0) void this.takeUp(new Set(partitions));
  }

  private onLost(partitions: readonly number[]): void {
    for (const partition of partitions) {
      void this.listening.get(partition)?.close();
      this.listening.delete(partition);
    }
    const lost = new Set(partitions);
    for (const [stream, { address }] of this.actors) {
      if (!lost.has(partitionOf(address.scheduleId))) continue;
      this.actors.delete(stream);
      this.lookOuts.set(stream, undefined);
    }
  }

  /** One after another: the log is read at its own rate, and what was loaded first fires meanwhile. */
  private async takeUp(partitions: ReadonlySet<number>): Promise<void> {
    for (const address of [...this.index.all()]) {
      if (!partitions.has(partitionOf(address.scheduleId)) || !this.owns(address)) continue;
      await this.attempt(address, async (actor) => {
        await actor.settled();
        this.letGo(address);
        for (const end of this.index.endedOf(address)) this.tell(address, { type: 'EndFiring', ...end });
      });
    }
  }

  private onFact(address: ScheduleAddress, revision: number): void {
    const actor = this.actors.get(scheduleStream.build(address));
    if (!this.owns(address) || (actor !== undefined && !actor.isBefore(revision))) return;
    // Another instance has appended it.
    void this.attempt(address, async (found) => void (await found.fresh()));
  }

  private onState(address: ScheduleAddress, { state, revision }: Held): void {
    this.index.note(address, revision, state);
    this.actors.note(scheduleStream.build(address), state);
    if (this.stopped || !this.owns(address)) return;
    for (const effect of pendingEffects(state)) {
      if (effect.type === 'EraseInputs') this.erase(address, effect.generation);
      else this.errands.run(address, effect);
    }
    this.lookOuts.set(scheduleStream.build(address), nextLookAtMs(this.rulesOf(address), state));
  }

  private isWanted(address: ScheduleAddress, effect: RunEffect): boolean {
    if (this.stopped || !this.owns(address)) return false;
    const state = this.actors.get(scheduleStream.build(address))?.state;
    return state === undefined || pendingEffects(state).some((one) => one.type === effect.type && one.runId === effect.runId);
  }

  private erase(address: ScheduleAddress, generation: number): void {
    const stream = scheduleStream.build(address);
    if (this.erasing.has(stream)) return;
    this.erasing.add(stream);
    const task = async (): Promise<void> => {
      await this.log.erase(address, generation);
      this.ports.host.crashPoint('schedule.erased');
      await this.decide(address, { type: 'NoteErased' });
    };
    void this.attempt(address, task).finally(() => this.erasing.delete(stream));
  }

  /** A command of its own, until it is judged. */
  private tell(address: ScheduleAddress, command: DecidedCommand): void {
    if (this.owns(address)) void this.attempt(address, () => this.decide(address, command));
  }

  private async attempt(address: ScheduleAddress, task: (actor: ScheduleActor) => Promise<void>): Promise<void> {
    while (!this.stopped && this.owns(address)) {
      try {
        return await task(this.actorOf(address));
      } catch (error) {
        const { log } = this.ports.host;
        const where = { ...address, reason: String(error) };
        if (!(error instanceof Retryable)) {
          // A bug, or a history that nobody can read: again and again would help nobody, and hold up the others.
          log.error('a schedule cannot be looked after; it stands still', where);
          return;
        }
        log.warn('a schedule was not looked after; trying again', where);
        await delay(this.ports.host, RETRY_MS);
      }
    }
  }

  private async decide(address: ScheduleAddress, command: DecidedCommand): Promise<void> {
    await this.judge(address, { command, id: this.ports.host.entropy.uuid(), by: 'schedules' });
  }

  private async judge(
    address: ScheduleAddress,
    asked: { readonly command: DecidedCommand; readonly id: string; readonly by: string },
  ): Promise<Judged> {
    await this.clock.ready();
    const judged = await this.actorOf(address).submit(asked, () => this.nowMs());
    this.letGo(address);
    return judged;
  }

  private async fresh(address: ScheduleAddress): Promise<ScheduleState> {
    const state = await this.actorOf(address).fresh();
    this.letGo(address);
    return state;
  }

  /** What never was, or is over, is not held; nor is what has not been used for longest, when it is too much. */
  private letGo(address: ScheduleAddress): void {
    const stream = scheduleStream.build(address);
    const state = this.actors.get(stream)?.state;
    if (state !== undefined && state.status !== 'live' && pendingEffects(state).length === 0) this.actors.delete(stream);
    this.actors.trim();
  }

  private nowMs(): number {
    const nowMs = this.clock.nowMs();
    if (nowMs === undefined) throw new StoreUnavailable('The time of the store is not known yet. Ask again.');
    return nowMs;
  }

  private owns({ scheduleId }: ScheduleAddress): boolean {
    return this.ports.ownership.owns(partitionOf(scheduleId));
  }

  private actorOf(address: ScheduleAddress): ScheduleActor {
    const stream = scheduleStream.build(address);
    const make = (): ScheduleActor =>
      new ScheduleActor(address, {
        host: this.ports.host,
        log: this.log,
        decider: scheduleDecider(this.rulesOf(address)),
        onState: (of, held) => this.onState(of, held),
      });
    return this.actors.use(stream, make);
  }

  private rulesOf({ tenant, scheduleId }: ScheduleAddress): ScheduleRules {
    const { digest } = this.ports.host;
    return {
      times: this.ports.times,
      runIdOf: (generation, firing) => scheduledRunId(digest, { tenant, scheduleId, generation }, firing),
      fractionOf: (nominalAtMs) =>
        Number.parseInt(digest.sha256(`${tenant}/${scheduleId}/${nominalAtMs}`).slice(0, FRACTION_DIGITS), 16) /
        16 ** FRACTION_DIGITS,
    };
  }
}
