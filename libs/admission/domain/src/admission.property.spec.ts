import * as fc from 'fast-check';
import type { Heartbeat } from '@perdure/run-contract';
import type { CapacityChange } from './capacity-fact';
import { PermitLedger } from './permit-ledger';
import { PoolQueue } from './pool-queue';
import type { RunRecord } from './run-record';
import { Workers } from './workers';

const SLOTS = 3;
const WORKERS = ['w1', 'w2'];
const RUNS = 8;
const NEVER_ENDED = { bury: () => undefined, covers: () => false, sweep: () => undefined, clear: () => undefined };

/**
 * Ledger, workers and queue as the leader uses them, and the truth beside them: which run really is on which worker.
 * Heartbeats are the truth of some earlier moment; facts come in order.
 */
class Pool {
  readonly ledger = new PermitLedger(NEVER_ENDED);
  readonly workers = new Workers();
  readonly queue = new PoolQueue();
  private readonly revisions = new Map<string, number>();
  private readonly beats: Heartbeat[] = [];

  learn(runId: string, change: CapacityChange): void {
    const revision = (this.revisions.get(runId) ?? -1) + 1;
    this.revisions.set(runId, revision);
    const news = this.ledger.apply({ tenant: 'acme', runId, revision, change }, { confirmed: true, nowMs: 0 });
    if (news === undefined) return;
    if (news.freed !== undefined) this.workers.free(news.record, news.freed);
    if (news.record.state === 'held' && !news.ended) this.workers.place(news.record);
    if (news.record.state === 'waiting') this.queue.add(news.record);
    else this.queue.remove(news.record);
  }

  release(): void {
    for (let next = this.next(); next !== undefined; next = this.next()) {
      this.ledger.grant(next.record, next.worker);
      this.workers.place(next.record);
    }
  }

  held(workerId: string): readonly RunRecord[] {
    return [...this.ledger.records()].filter((record) => record.workerId === workerId);
  }

  recordBeat(workerId: string): void {
    const activations = this.held(workerId)
      .filter((record) => record.state === 'held')
      .map((record) => record.runId);
    this.beats.push({
      v: 1,
      tenant: 'acme',
      pool: 'main',
      workerId,
      sessionId: `s-${workerId}`,
      buildId: 'b',
      hosts: ['echo'],
      slots: SLOTS,
      freeSlots: SLOTS - activations.length,
      loopLagMs: 0,
      activations,
      draining: false,
      leaving: false,
    });
  }

  /** In the order in which they were sent, late or not. */
  deliverBeat(): void {
    const beat = this.beats.shift();
    if (beat !== undefined) this.workers.beat(beat, 0);
  }

  private next() {
    return this.queue.next((record) => this.workers.pick(record, 0));
  }
}

/** What may happen to a run next, by where it stands; `pick` chooses. */
function step(pool: Pool, runId: string, pick: number): void {
  const record = pool.ledger.get({ tenant: 'acme', runId });
  if (record === undefined) return pool.learn(runId, { type: 'requested', pool: 'main', name: 'echo', pins: true, atMs: 0 });
  const { workerId, sessionId, state } = record;
  if (state === 'granted' && workerId !== undefined && sessionId !== undefined) {
    return pool.learn(runId, { type: 'assigned', workerId, sessionId, buildId: 'b' });
  }
  if (state === 'held') return pool.learn(runId, pick % 3 === 0 ? { type: 'let-go' } : { type: 'unplaced' });
  if (state === 'idle') pool.learn(runId, { type: 'asked-again', preferredWorkerId: WORKERS[pick % 2] });
}

describe('admission, over random histories', () => {
  it('never promises a worker more than its slots, and leaves no slot empty that a waiting run could have', () => {
    const action = fc.record({ run: fc.nat(RUNS - 1), pick: fc.nat(5), beat: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        const pool = new Pool();
        for (const workerId of WORKERS) pool.recordBeat(workerId);
        for (const _ of WORKERS) pool.deliverBeat();
        for (const { run, pick, beat } of actions) {
          step(pool, `r${run}`, pick);
          pool.release();
          for (const workerId of WORKERS) expect(pool.held(workerId).length).toBeLessThanOrEqual(SLOTS);
          if (beat === 0) pool.recordBeat(WORKERS[pick % 2]!);
          if (beat === 1) pool.deliverBeat();
        }
        // Whatever was late: once every heartbeat is in and told anew, capacity is used.
        for (let round = 0; round < actions.length + 6; round += 1) {
          pool.recordBeat(WORKERS[round % 2]!);
          pool.deliverBeat();
        }
        for (let round = 0; round < 6; round += 1) {
          pool.recordBeat(WORKERS[round % 2]!);
          pool.deliverBeat();
        }
        for (const record of pool.ledger.records()) if (record.state === 'granted') step(pool, record.runId, 0);
        pool.release();
        const free = WORKERS.reduce((sum, workerId) => sum + SLOTS - pool.held(workerId).length, 0);
        expect(Math.min(free, pool.queue.length)).toBe(0);
      }),
      { numRuns: 300, seed: 7 },
    );
  });
});
