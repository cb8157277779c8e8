import type { Heartbeat } from '@perdure/run-contract';
import { PoolQueue } from './pool-queue';
import type { RunRecord } from './run-record';

const WORKER = { workerId: 'w1' } as Heartbeat;
const anyone = () => ({ worker: WORKER });
const onlyFor = (name: string) => (record: RunRecord) =>
  record.name === name ? { worker: WORKER } : { missing: 'no-worker' as const };

let tickets = 0;
const run = (runId: string, changes: Partial<RunRecord> = {}): RunRecord => ({
  tenant: 'acme',
  runId,
  pool: 'main',
  name: 'echo',
  revision: 0,
  state: 'waiting',
  ticket: (tickets += 1),
  sinceMs: 0,
  workerId: undefined,
  sessionId: undefined,
  preferredWorkerId: undefined,
  pins: false,
  build: undefined,
  buildRevision: 0,
  fresh: true,
  confirmed: true,
  ...changes,
});

function drain(queue: PoolQueue, pick = anyone as Parameters<PoolQueue['next']>[0]): string[] {
  const order: string[] = [];
  for (let next = queue.next(pick); next !== undefined; next = queue.next(pick)) order.push(next.record.runId);
  return order;
}

describe('the queue of a pool', () => {
  it('serves first who came first, over all names', () => {
    const queue = new PoolQueue();
    for (const [id, name] of [
      ['a', 'x'],
      ['b', 'y'],
      ['c', 'x'],
      ['d', 'y'],
    ] as const)
      queue.add(run(id, { name }));
    expect(drain(queue)).toEqual(['a', 'b', 'c', 'd']);
    expect(queue.length).toBe(0);
  });

  it('lets no run block another that a worker could take', () => {
    const queue = new PoolQueue();
    for (const [id, name] of [
      ['a', 'x'],
      ['b', 'y'],
      ['c', 'y'],
    ] as const)
      queue.add(run(id, { name }));
    expect(drain(queue, onlyFor('y'))).toEqual(['b', 'c']);
    expect(drain(queue)).toEqual(['a']);
  });

  it('keeps the place of a run whose release came to nothing', () => {
    const queue = new PoolQueue();
    const [a, b, c] = [run('a'), run('b'), run('c')];
    for (const record of [a, b, c]) queue.add(record);
    expect(queue.next(anyone)?.record).toBe(a);
    expect(queue.next(anyone)?.record).toBe(b);
    queue.add(b);
    queue.add(a);
    expect(drain(queue)).toEqual(['a', 'b', 'c']);
  });

  it('holds a run once, and forgets what was removed', () => {
    const queue = new PoolQueue();
    const [a, b] = [run('a'), run('b')];
    for (const record of [a, a, b]) queue.add(record);
    expect(queue.length).toBe(2);
    queue.remove(a);
    expect(drain(queue)).toEqual(['b']);
  });

  it('gives a run that asks again later a later place', () => {
    const queue = new PoolQueue();
    const [a, b] = [run('a'), run('b')];
    for (const record of [a, b]) queue.add(record);
    a.ticket = tickets += 1;
    queue.add(a);
    expect([queue.positionOf(b), queue.positionOf(a)]).toEqual([1, 2]);
    expect(drain(queue)).toEqual(['b', 'a']);
  });

  it('is full for runs that have never begun, and never for those that have', () => {
    const queue = new PoolQueue(2);
    for (const id of ['a', 'b']) queue.add(run(id));
    expect(queue.isFullFor(run('c'))).toBe(true);
    expect(queue.isFullFor(run('d', { fresh: false }))).toBe(false);
  });

  it('names the youngest that have never begun when it holds too many', () => {
    const queue = new PoolQueue(2);
    for (const id of ['a', 'b', 'c']) queue.add(run(id));
    queue.add(run('old', { fresh: false }));
    expect([...queue.excess()].map((record) => record.runId)).toEqual(['c', 'b']);
  });

  it('stays in order through many thousand arrivals and departures', () => {
    const queue = new PoolQueue();
    const served: string[] = [];
    for (let round = 0; round < 5_000; round += 1) {
      queue.add(run(String(round)));
      queue.add(run(`${round}'`));
      served.push(queue.next(anyone)?.record.runId ?? 'none');
    }
    served.push(...drain(queue));
    expect(served).toEqual(Array.from({ length: 5_000 }, (_, round) => [String(round), `${round}'`]).flat());
  });
});
