import { LogFollower } from '@perdure/keeper-application';
import { partitionOf, token, type Json, type KeyRing, type Subscription } from '@perdure/kernel';
import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { calendarTimes } from '@perdure/platform-schedule-times';
import { commandEnvelope, requestSubject, runAddress, runStream } from '@perdure/run-contract';
import {
  scheduleAddress,
  scheduleSnapshotStream,
  scheduleStream,
  scheduleView,
  type ScheduleEnvelopeInput,
  type ScheduleSpecInput,
  type ScheduleView,
} from '@perdure/schedule-contract';
import { LoopbackBus, ManualHost } from '@perdure/testing';
import type { ScheduleOwnership } from './ports';
import { ScheduleOwner } from './schedule.owner';

export const SECOND = 1_000;

export class Partitions implements ScheduleOwnership {
  private readonly listeners = new Set<(gained: readonly number[], lost: readonly number[]) => void>();
  constructor(private owned: boolean) {}
  owns = (): boolean => this.owned;
  onChange = (listener: (gained: readonly number[], lost: readonly number[]) => void) => {
    this.listeners.add(listener);
    if (this.owned) listener(ALL, []);
    return { close: async () => void this.listeners.delete(listener) };
  };
  become(owned: boolean): void {
    this.owned = owned;
    for (const listener of this.listeners)
      if (owned) listener(ALL, []);
      else listener([], ALL);
  }
}

const ALL = Array.from({ length: 256 }, (_, partition) => partition);

export interface Instance {
  readonly owner: ScheduleOwner;
  readonly partitions: Partitions;
  stop(): Promise<void>;
  /** As `kill -9` does: nothing is said, nothing is saved. */
  kill(): void;
}

/** Owners of schedules over one log, and owners of runs that start whatever they are asked for. */
export class ScheduleWorld {
  readonly host = new ManualHost();
  readonly bus = new LoopbackBus(this.host);
  readonly log = new MemoryLog(this.host.clock);
  readonly store = new MemoryEventStore(this.log);
  readonly blobs = new MemoryBlobStore();
  readonly startMs = this.host.clock.nowMs();
  /** Runs that were started, with what, in order. */
  readonly started = new Map<string, { readonly name: string; readonly input: unknown; readonly by: string }>();
  readonly cancelled: string[] = [];
  /** What owners of runs say. */
  answers: 'yes' | 'silence' | 'unheard' | 'no' = 'yes';
  refusal = 'no';
  heldBytesMax: number | undefined;

  private mapping: Subscription | undefined;

  /** `keys`: with sealing on. */
  constructor(private readonly keys?: KeyRing) {
    this.bus.subscribe(requestSubject.build(runAddress('acme', 'x')).replace(/x$/, '*'), (message) => {
      const answer = this.answerOf(message.subject.split('.')[4] ?? '', message.payload);
      if (answer !== undefined) message.respond(JSON.stringify(answer));
    });
  }

  /** Whether requests reach the partition of their schedule, as the broker has it. */
  mapRequests(areMapped = true): void {
    void this.mapping?.close();
    this.mapping = undefined;
    if (!areMapped) return;
    this.mapping = this.bus.subscribe('perdure.req.*.schedule.*', ({ subject, payload, respond }) => {
      const [, , tenant = '', , id = ''] = subject.split('.');
      const mapped = `perdure.part.${partitionOf(token(id, 'schedule id'))}.req.${tenant}.schedule.${id}`;
      void this.bus.request(mapped, payload, { timeoutMs: SECOND }).then(respond);
    });
  }

  private answerOf(runId: string, payload: string): object | undefined {
    const { command, actor } = commandEnvelope.parse(JSON.parse(payload));
    if (this.answers === 'silence') return undefined;
    if (this.answers === 'no') return { ok: false, error: { code: 'UnknownAgent', message: this.refusal, reaction: 'terminal' } };
    if (command.type === 'CancelRun') this.cancelled.push(runId);
    const isNew = !this.started.has(runId);
    if (command.type === 'StartRun' && isNew) this.started.set(runId, { name: command.name, input: command.input, by: actor.id });
    return this.answers === 'unheard' ? undefined : { ok: true, value: { runId, started: isNew } };
  }

  instance(owned = true): Promise<Instance> {
    return this.open(owned, this.keys);
  }

  /** Started without what the others have. */
  withoutKeys(): Promise<Instance> {
    return this.open(true, undefined);
  }

  private async open(owned: boolean, keys: KeyRing | undefined): Promise<Instance> {
    let isDead = false;
    const host = Object.assign(Object.create(this.host) as ManualHost, {
      timers: {
        turn: () => this.host.settle(),
        after: (delayMs: number, task: () => void) => this.host.timers.after(delayMs, () => (isDead ? undefined : task())),
      },
    });
    const partitions = new Partitions(owned);
    const store = new MemoryEventStore(this.log);
    const owner = new ScheduleOwner({
      store,
      bus: this.bus,
      host,
      ownership: partitions,
      times: calendarTimes,
      ...(keys === undefined ? {} : { keys }),
      ...(this.heldBytesMax === undefined ? {} : { heldBytesMax: this.heldBytesMax }),
    });
    const follower = new LogFollower({ store, blobs: this.blobs, host });
    follower.register(owner.index);
    owner.start();
    await follower.start();
    await this.host.settle();
    return {
      owner,
      partitions,
      stop: async () => {
        await owner.stop();
        await follower.close();
      },
      kill: () => {
        isDead = true;
        partitions.become(false);
        void store.close();
      },
    };
  }

  async ask(
    command: ScheduleEnvelopeInput['command'],
    { id: requestId = this.host.entropy.uuid(), scheduleId = 'tick' } = {},
  ): Promise<Json> {
    const { tenant, scheduleId: id } = scheduleAddress('acme', scheduleId);
    const subject = `perdure.part.${partitionOf(id)}.req.${tenant}.schedule.${id}`;
    const envelope: ScheduleEnvelopeInput = { v: 1, id: requestId, actor: { kind: 'user', id: 'ann' }, command };
    const asked = this.bus.request(subject, JSON.stringify(envelope), { timeoutMs: 60 * SECOND });
    await this.host.advance(10);
    return JSON.parse(await asked) as Json;
  }

  create(how: Partial<ScheduleSpecInput> = {}, scheduleId = 'tick'): Promise<Json> {
    const spec = { start: { name: 'report', input: { n: 1 } }, when: [{ type: 'interval' as const, everyMs: SECOND }], ...how };
    return this.ask({ type: 'CreateSchedule', spec }, { scheduleId });
  }

  async view(scheduleId = 'tick'): Promise<ScheduleView> {
    const answer = (await this.ask({ type: 'GetSchedule' }, { scheduleId })) as { readonly value: unknown };
    return scheduleView.parse(answer.value);
  }

  /** A run has ended: the log says so. */
  async end(runId: string, type = 'RunCompleted'): Promise<void> {
    const event = { id: this.host.entropy.uuid(), type, data: { output: null, endedAtMs: 1 }, metadata: {} };
    await this.store.append(runStream.build(runAddress('acme', runId)), 'any', [event]);
    await this.host.advance(10);
  }

  async facts(type: string, scheduleId = 'tick') {
    const stream = scheduleStream.build(scheduleAddress('acme', scheduleId));
    const all = await this.store.read(stream, { direction: 'forward', from: 'start', limit: 100_000 });
    return all.filter((event) => event.type === type);
  }

  /** All that the log holds, as text. */
  async logText(): Promise<string> {
    const streams = [scheduleStream, scheduleSnapshotStream].map(({ build }) => build(scheduleAddress('acme', 'tick')));
    const events = await Promise.all(
      streams.map((stream) => this.store.read(stream, { direction: 'forward', from: 'start', limit: 100_000 })),
    );
    return JSON.stringify(events);
  }

  /** Nominal times that were decided to fire, in seconds since the beginning. */
  async fired(scheduleId = 'tick'): Promise<number[]> {
    const facts = await this.facts('FiringDue', scheduleId);
    return facts.map(({ data }) => ((data as { readonly nominalAtMs: number }).nominalAtMs - this.startMs) / SECOND);
  }
}
