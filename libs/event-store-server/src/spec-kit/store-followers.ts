import { deepStrictEqual, ok } from 'node:assert';
import { logSubscription, streamSubscription, type SubscriptionSource } from '../engine/readers';
import type { StoreEngine } from '../engine/store-engine';
import type { EventFilter, ReadRequest, Start } from '../wire/requests';
import type { ModelEvent, StoreModel } from './store-model';

/** Filters of subscriptions, each with the same question to the model. */
export const FILTERS: readonly {
  readonly filter?: Omit<EventFilter, 'checkpointInterval'>;
  wants(event: ModelEvent): boolean;
}[] = [
  { wants: () => true },
  { filter: { on: 'stream-name', regex: undefined, prefixes: ['b-'] }, wants: ({ stream }) => stream.startsWith('b-') },
  { filter: { on: 'stream-name', regex: '^(a|ü)', prefixes: [] }, wants: ({ stream }) => /^[aü]/.test(stream) },
  { filter: { on: 'event-type', regex: undefined, prefixes: ['Odd', '$'] }, wants: ({ type }) => /^(Odd|\$)/.test(type) },
  { filter: { on: 'event-type', regex: 'd$', prefixes: [] }, wants: ({ type }) => type.endsWith('d') },
];

/** A subscription that is asked after every operation, and opened again from where it was after every restart. */
export interface Follower {
  /** @throws AssertionError when it yields other events than the model */
  drain(): void;
  reopen(engine: StoreEngine): void;
}

export class StreamFollower implements Follower {
  private source!: SubscriptionSource;
  private hasEnded = false;
  private next: number;

  constructor(
    private readonly model: StoreModel,
    private readonly stream: string,
    from: 'start' | 'end' | number,
  ) {
    this.next = from === 'start' ? 0 : from === 'end' ? model.current(stream) + 1 : from + 1;
  }

  reopen(engine: StoreEngine): void {
    const entry = engine.index.enter(this.stream);
    engine.followStream(entry, { wake: () => undefined });
    this.source = streamSubscription(engine, entry, this.next === 0 ? 'start' : { at: this.next - 1 });
  }

  drain(): void {
    if (this.hasEnded) return;
    const { model, stream } = this;
    const expected = model.visible(stream).filter(({ revision }) => (revision as number) >= this.next);
    const tombstone = model.tombstoneOf(stream);
    this.next = Math.max(this.next, model.current(stream) + 1);
    const seen: number[] = [];
    for (let atHead = false; !atHead;) {
      const step = this.source.next(true);
      seen.push(...(step.page?.events ?? []));
      atHead = step.atHead;
    }
    deepStrictEqual(
      seen,
      [...expected, ...(tombstone === undefined ? [] : [tombstone])].map(({ at }) => at),
      `follower of ${stream}`,
    );
    this.hasEnded = tombstone !== undefined;
    deepStrictEqual(this.source.isTombstoned, this.hasEnded);
  }
}

export class LogFollower implements Follower {
  private source!: SubscriptionSource;
  private engine!: StoreEngine;
  private isLive = false;
  private lastCheckpoint = -1;
  /** Place of the first event that it has not considered yet. */
  private next: number;

  constructor(
    private readonly model: StoreModel,
    private readonly options: { readonly from: 'start' | 'end' | number; readonly filter: number; readonly interval: number },
  ) {
    const { from } = options;
    const { length } = model.log;
    this.next = from === 'start' ? 0 : from === 'end' ? length : Math.min(from + 1, length);
  }

  reopen(engine: StoreEngine): void {
    const from: Start = this.next === 0 ? 'start' : { at: engine.index.columns.position(this.next - 1) };
    const chosen = FILTERS[this.options.filter]?.filter;
    const filter = chosen === undefined ? undefined : { ...chosen, checkpointInterval: this.options.interval };
    this.engine = engine;
    this.source = logSubscription(engine, { ...LOG_REQUEST, from, filter });
    this.isLive = false;
  }

  drain(): void {
    const wants = FILTERS[this.options.filter]?.wants as (event: ModelEvent) => boolean;
    const expected = this.model.readLog({ from: this.next, backwards: false, limit: Infinity }).filter(wants);
    this.next = this.model.log.length;
    const seen: number[] = [];
    for (let atHead = false; !atHead;) {
      const step = this.source.next(this.isLive);
      seen.push(...(step.page?.events ?? []));
      if (step.checkpoint !== undefined) this.checkCheckpoint(step.checkpoint, { seen, expected });
      atHead = step.atHead;
    }
    this.isLive = true;
    deepStrictEqual(
      seen,
      expected.map(({ at }) => at),
      'follower of the log',
    );
  }

  /** Nothing that is wanted lies before a checkpoint and is still to come. */
  private checkCheckpoint(
    position: number,
    { seen, expected }: { readonly seen: readonly number[]; readonly expected: readonly { readonly at: number }[] },
  ): void {
    const { columns } = this.engine.index;
    const place = columns.firstAtOrAfter(position);
    ok(position > this.lastCheckpoint && columns.position(place) === position, 'checkpoints are places, and grow');
    this.lastCheckpoint = position;
    const before = expected.filter(({ at }) => at <= place).map(({ at }) => at);
    deepStrictEqual(
      seen.filter((at) => at <= place),
      before,
      'a checkpoint skips nothing',
    );
  }
}

const LOG_REQUEST: Omit<ReadRequest, 'from' | 'filter'> = {
  stream: undefined,
  backwards: false,
  limit: Number.POSITIVE_INFINITY,
  subscribe: true,
  resolveLinks: false,
  structuredIds: false,
};
