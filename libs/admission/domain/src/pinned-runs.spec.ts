import type { Heartbeat } from '@perdure/run-contract';
import type { CapacityChange } from './capacity-fact';
import { PermitLedger } from './permit-ledger';
import { PoolQueue } from './pool-queue';
import type { RunRecord } from './run-record';
import { Workers } from './workers';

const noEnds = { bury: () => undefined, covers: () => false, sweep: () => undefined, clear: () => undefined };
const beat = (workerId: string, buildId: string, changes: Partial<Heartbeat> = {}): Heartbeat => ({
  v: 1,
  tenant: 'acme',
  pool: 'main',
  workerId,
  sessionId: `s-${workerId}`,
  buildId,
  hosts: ['bill'],
  slots: 10,
  freeSlots: 10,
  loopLagMs: 0,
  activations: [],
  draining: false,
  leaving: false,
  ...changes,
});

class Story {
  readonly ledger = new PermitLedger(noEnds);

  tell(runId: string, revision: number, change: CapacityChange): RunRecord | undefined {
    return this.ledger.apply({ tenant: 'acme', runId, revision, change }, { confirmed: true, nowMs: 1 })?.record;
  }

  begin(runId: string, pins = true): RunRecord {
    return this.tell(runId, 0, { type: 'requested', pool: 'main', name: 'bill', pins, atMs: 1 }) as RunRecord;
  }

  /** Assigned to the build, and waiting again. */
  returned(runId: string, buildId: string, pins = true): RunRecord {
    const record = this.begin(runId, pins);
    this.tell(runId, 1, { type: 'assigned', workerId: 'w', sessionId: 's', buildId });
    this.tell(runId, 2, { type: 'let-go' });
    this.tell(runId, 3, { type: 'asked-again', preferredWorkerId: 'w-new' });
    return record;
  }
}

describe('a run that is pinned to a build', () => {
  it('gets a worker of that build, whatever else is free or preferred', () => {
    const workers = new Workers();
    const record = new Story().returned('r1', 'old');
    workers.beat(beat('w-new', 'new'), 0);
    expect(workers.pick(record, 0)).toEqual({ missing: 'no-worker' });
    workers.beat(beat('w-old', 'old', { freeSlots: 1 }), 0);
    expect(workers.pick(record, 0)).toMatchObject({ worker: { workerId: 'w-old' } });
  });

  it('gets a worker whose build takes its runs over', () => {
    const workers = new Workers();
    workers.beat(beat('w-new', 'new', { compatibleWith: ['older', 'old'] }), 0);
    expect(workers.pick(new Story().returned('r1', 'old'), 0)).toMatchObject({ worker: { workerId: 'w-new' } });
  });

  it('of an agent is none: any build has it', () => {
    const workers = new Workers();
    workers.beat(beat('w-new', 'new'), 0);
    expect(workers.pick(new Story().returned('r1', 'old', false), 0)).toMatchObject({ worker: { workerId: 'w-new' } });
  });

  it('of an agent is one when somebody asked for a certain build', () => {
    const workers = new Workers();
    workers.beat(beat('w-new', 'new'), 0);
    const story = new Story();
    const record = story.begin('r1', false);
    story.tell('r1', 2, { type: 'repinned', buildId: 'old' });
    expect(workers.pick(record, 0)).toEqual({ missing: 'no-worker' });
  });

  it('is pinned by what is told of it in any order, and keeps the newest word', () => {
    const story = new Story();
    const record = story.begin('r1');
    story.tell('r1', 4, { type: 'asked-again', preferredWorkerId: undefined });
    story.tell('r1', 2, { type: 'repinned', buildId: 'new' });
    story.tell('r1', 1, { type: 'assigned', workerId: 'w', sessionId: 's', buildId: 'old' });
    expect(record).toMatchObject({ state: 'waiting', revision: 4, build: 'new' });
  });

  it('stays where it stands when it is pinned anew', () => {
    const story = new Story();
    const record = story.begin('r1');
    story.ledger.grant(record, { workerId: 'w', sessionId: 's' });
    story.tell('r1', 1, { type: 'repinned', buildId: 'new' });
    expect(record).toMatchObject({ state: 'granted', revision: 0, build: 'new' });
  });

  it('is free for any build once its code has diverged', () => {
    const story = new Story();
    const record = story.begin('r1');
    story.tell('r1', 1, { type: 'assigned', workerId: 'w', sessionId: 's', buildId: 'old' });
    story.tell('r1', 2, { type: 'let-go', unpins: true });
    expect(record.build).toBeUndefined();
  });

  it('is pinned after a restart from a checkpoint too', () => {
    const story = new Story();
    story.returned('r1', 'old');
    const again = new PermitLedger(noEnds);
    for (const part of story.ledger.snapshotParts()) again.restorePart(JSON.parse(JSON.stringify(part)) as never);
    expect(again.get({ tenant: 'acme', runId: 'r1' })).toMatchObject({ pins: true, build: 'old', buildRevision: 1 });
    expect(() => again.restorePart({ v: 1, runs: [] })).toThrow('another version');
  });
});

describe('runs that wait for a build that nobody serves', () => {
  const onlyNew = (record: RunRecord) =>
    record.build === undefined || record.build === 'new' ? { worker: beat('w', 'new') } : { missing: 'no-worker' as const };

  it('block no other run of their name', () => {
    const story = new Story();
    const queue = new PoolQueue();
    for (const record of [story.returned('a', 'old'), story.returned('b', 'new'), story.begin('c')]) queue.add(record);
    expect([queue.next(onlyNew)?.record.runId, queue.next(onlyNew)?.record.runId]).toEqual(['b', 'c']);
    expect(queue.next(onlyNew)).toBeUndefined();
    expect(queue.length).toBe(1);
  });

  it('take no room from those that have not begun', () => {
    const story = new Story();
    const queue = new PoolQueue(1);
    for (const id of ['a', 'b', 'c']) queue.add(story.returned(id, 'old'));
    const fresh = story.begin('d');
    expect(queue.isFullFor(fresh)).toBe(false);
    queue.add(fresh);
    expect(queue.isFullFor(story.begin('e'))).toBe(true);
    expect([...queue.excess()]).toEqual([]);
  });

  it('go on, in their old order, once they are pinned to one that is served', () => {
    const story = new Story();
    const queue = new PoolQueue();
    const records = ['a', 'b'].map((id) => story.returned(id, 'old'));
    for (const record of records) queue.add(record);
    for (const record of [...records].reverse()) {
      story.tell(record.runId, 4, { type: 'repinned', buildId: 'new' });
      queue.add(record);
    }
    expect([queue.next(onlyNew)?.record.runId, queue.next(onlyNew)?.record.runId]).toEqual(['a', 'b']);
    expect(queue.length).toBe(0);
  });
});
