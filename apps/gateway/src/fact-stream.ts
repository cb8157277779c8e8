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
const KEEP_ALIVE_MS = 15_000;
const RECONNECT_MS = 500;

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
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      connection: 'keep-alive',
      'x-accel-buffering': 'no',
    });
    response.write(`retry: ${RECONNECT_MS}\n\n`);
    let finish: () => void = () => undefined;
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    response.once('close', finish);
    response.once('error', finish);
    const subscription: Subscription = this.store.follow(runStream.build(address), {
      after,
      onEvent: async (event) => {
        if (response.destroyed || response.writableEnded) return;
        await write(response, `id: ${event.revision}\ndata: ${JSON.stringify(await this.factOf(address, event))}\n\n`);
        if (!isTerminal(event)) return;
        response.end('event: end\ndata: {}\n\n');
        finish();
      },
      onCaughtUp: () =>
        void this.endIfOver(address, after, () => {
          if (!response.writableEnded) response.end('event: end\ndata: {}\n\n');
          finish();
        }),
    });
    const beat = (): (() => void) =>
      this.host.timers.after(KEEP_ALIVE_MS, () => {
        if (!response.writableEnded) response.write(': still here\n\n');
        cancel = beat();
      });
    let cancel = beat();
    await finished;
    cancel();
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

/** Holds back the next fact while the reader is slow. */
function write(response: ServerResponse, text: string): Promise<void> {
  if (response.write(text)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}
