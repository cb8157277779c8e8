import type { ServerResponse } from 'node:http';
import {
  InvariantViolated,
  Retryable,
  Terminal,
  type EventStore,
  type Host,
  type RecordedEvent,
  type Subscription,
} from '@perdure/kernel';
import { runStream, TERMINAL_EVENT_TYPES, type RunAddress } from '@perdure/run-contract';
import { EventStream } from './event-stream';

/** A fact as the API shows it. */
export interface Fact {
  readonly revision: number;
  readonly type: string;
  readonly atMs: number;
  readonly data: unknown;
  readonly metadata: unknown;
}

/** Gives payloads that were moved or sealed back their place. */
export type ReadFact = (address: RunAddress, recorded: RecordedEvent) => Promise<unknown>;

/** Each open stream is a subscription at the store. */
export const STREAMS_MAX = 64;

export class FactReader {
  private streams = 0;

  constructor(
    private readonly store: EventStore,
    private readonly host: Host,
    private readonly readFact: ReadFact,
  ) {}

  /** @throws Terminal `RunNotFound` */
  async page(
    address: RunAddress,
    { from, limit }: { readonly from: number; readonly limit: number },
  ): Promise<{ facts: Fact[]; next?: number }> {
    const recorded = await this.store.read(runStream.build(address), { direction: 'forward', from, limit });
    if (recorded.length === 0) await this.requireRun(address);
    const facts = await Promise.all(recorded.map((event) => this.factOf(address, event)));
    const last = recorded.at(-1);
    if (last === undefined || recorded.length < limit || isTerminal(last)) return { facts };
    return { facts, next: last.revision + 1 };
  }

  /**
   * Server-sent events, one a fact, its revision as id: a reader that was cut off goes on after the
   * last one it saw. Ends with the run.
   * @throws Terminal `RunNotFound`, Retryable `TooManyStreams`; nothing has been written then
   */
  async stream(address: RunAddress, after: number | 'start', open: () => ServerResponse): Promise<void> {
    if (this.streams >= STREAMS_MAX) {
      throw new Retryable(
        'TooManyStreams',
        `This gateway already holds ${STREAMS_MAX} event streams. Close one, or read pages of /events.`,
        { retryAfterMs: 1_000 },
      );
    }
    this.streams += 1;
    try {
      await this.requireRun(address);
      await this.follow(address, after, open());
    } finally {
      this.streams -= 1;
    }
  }

  private async follow(address: RunAddress, after: number | 'start', response: ServerResponse): Promise<void> {
    const stream = new EventStream(response, this.host);
    const subscription: Subscription = this.store.follow(runStream.build(address), {
      after,
      onEvent: async (event) => {
        await stream.send({ id: String(event.revision), data: await this.factOf(address, event) });
        if (isTerminal(event)) stream.end();
      },
      onCaughtUp: () => void this.endIfOver(address, after, () => stream.end()),
    });
    await stream.whenClosed();
    stream.close();
    await subscription.close();
  }

  /** Who comes back after the last fact of an ended run must not wait for another. */
  private async endIfOver(address: RunAddress, after: number | 'start', end: () => void): Promise<void> {
    if (after === 'start') return;
    const [last] = await this.store
      .read(runStream.build(address), { direction: 'backward', from: 'end', limit: 1 })
      .catch(() => []);
    if (last && isTerminal(last) && last.revision <= after) end();
  }

  private async requireRun(address: RunAddress): Promise<void> {
    const [first] = await this.store.read(runStream.build(address), { direction: 'forward', from: 'start', limit: 1 });
    if (first === undefined)
      throw new Terminal(
        'RunNotFound',
        `There is no run ${address.runId} of tenant ${address.tenant}. See the list at /v1/runs.`,
      );
  }

  private async factOf(address: RunAddress, event: RecordedEvent): Promise<Fact> {
    const { revision, type, recordedAtMs: atMs, metadata } = event;
    try {
      return { revision, type, atMs, data: await this.readFact(address, event), metadata };
    } catch (thrown) {
      if (!(thrown instanceof InvariantViolated)) throw thrown;
      // A fact that cannot be understood is shown as it is: hiding it would hide the fault.
      return { revision, type, atMs, data: event.data, metadata };
    }
  }
}

function isTerminal({ type }: RecordedEvent): boolean {
  return (TERMINAL_EVENT_TYPES as readonly string[]).includes(type);
}
