import { setTimeout as pause } from 'node:timers/promises';
import { PerdureError } from '@perdure/kernel';
import type { Client } from '@perdure/sdk';
import { SeededRandom } from '@perdure/testing';
import { insist } from './insist';
import { agentOutput, workflowOutput } from './program';

/** One run that was asked for, and what became of it as its caller saw it. */
export interface Ordered {
  readonly key: string;
  readonly name: 'mixture' | 'clerk';
  readonly input: { readonly seed: number } & Readonly<Record<string, number>>;
  readonly expected: unknown;
  /** All the ids that starts with this key were answered with: must be one. */
  readonly runIds: Set<string>;
  cancelAsked: boolean;
  end?: { readonly output: unknown } | { readonly code: string; readonly message: string };
}

const AT_ONCE = 24;
const REPEAT_SHARE = 0.25;
const CANCEL_SHARE = 0.06;
const CANCEL_WITHIN_MS = 1_200;
const AGENT_SHARE = 0.35;

/** Callers that keep on starting runs and waiting for them, whatever happens to those who answer. */
export class Load {
  readonly orders: Ordered[] = [];
  private readonly random: SeededRandom;
  private ending = false;
  /** After this nobody tries any more. */
  private untilMs = Infinity;

  constructor(
    private readonly client: Client,
    private readonly seed: number,
  ) {
    this.random = new SeededRandom(seed).split('load');
  }

  /** Resolves when no more runs are started and all are at their end, or the time that `finish` gave is up. */
  async run(): Promise<void> {
    const caller = async (): Promise<void> => {
      while (!this.ending) await this.follow(this.nextOrder());
    };
    await Promise.all(Array.from({ length: AT_ONCE }, caller));
  }

  finish(withinMs: number): void {
    this.ending = true;
    this.untilMs = performance.now() + withinMs;
  }

  open(): readonly Ordered[] {
    return this.orders.filter(({ end }) => end === undefined);
  }

  private nextOrder(): Ordered {
    const { random, orders } = this;
    const seed = random.integer(1, 1_000_000_000);
    const key = `chaos-${this.seed}-${orders.length}`;
    const common = { key, runIds: new Set<string>(), cancelAsked: false };
    const agent = { seed, parts: random.integer(1, 6) };
    const workflow = { seed, rounds: random.integer(1, 3) };
    const order: Ordered = random.chance(AGENT_SHARE)
      ? { ...common, name: 'clerk', input: agent, expected: agentOutput(agent) }
      : { ...common, name: 'mixture', input: workflow, expected: workflowOutput(workflow) };
    orders.push(order);
    return order;
  }

  private async follow(order: Ordered): Promise<void> {
    const twice = this.random.chance(REPEAT_SHARE);
    const cancelAfterMs = this.random.chance(CANCEL_SHARE) ? this.random.integer(0, CANCEL_WITHIN_MS) : undefined;
    const starts = twice ? [this.start(order), this.start(order)] : [this.start(order)];
    const [runId] = await Promise.all(starts);
    if (runId === undefined) return;
    const cancelling = cancelAfterMs === undefined ? undefined : this.cancel(order, runId, cancelAfterMs);
    await this.awaitEnd(order, runId);
    await cancelling;
    if (twice && order.end) await this.start(order);
  }

  private async start({ key, name, input, runIds }: Ordered): Promise<string | undefined> {
    const started = await this.insist(() => this.client.start(name, input, { idempotencyKey: key }));
    if (started) runIds.add(started.runId);
    return started?.runId;
  }

  private async cancel(order: Ordered, ...[runId, afterMs]: [string, number]): Promise<void> {
    await pause(afterMs);
    order.cancelAsked = true;
    await this.insist(() => this.client.cancel(runId, 'chaos')).catch((thrown: unknown) => {
      if (!(thrown instanceof PerdureError && thrown.code === 'RunAlreadyEnded')) throw thrown;
    });
  }

  private async awaitEnd(order: Ordered, runId: string): Promise<void> {
    try {
      const done = await this.insist(async () => ({ output: await this.client.await(runId) }));
      if (done) order.end = done;
    } catch (thrown) {
      if (!(thrown instanceof PerdureError)) throw thrown;
      order.end = { code: thrown.code, message: thrown.message };
    }
  }

  private insist<T>(ask: () => Promise<T>): Promise<T | undefined> {
    return insist(() => this.untilMs, ask);
  }
}
