import type { Heartbeat } from '@perdure/run-contract';
import type { RunRecord } from './run-record';
import { LOOP_LAG_MAX_MS, WORKER_SILENT_MS, Workers } from './workers';

const beat = (changes: Partial<Heartbeat> = {}): Heartbeat => ({
  v: 1,
  tenant: 'acme',
  pool: 'main',
  workerId: 'w1',
  sessionId: 's1',
  buildId: 'b1',
  hosts: ['echo'],
  slots: 2,
  freeSlots: 2,
  loopLagMs: 0,
  activations: [],
  draining: false,
  leaving: false,
  ...changes,
});

const run = (runId: string, changes: Partial<RunRecord> = {}): RunRecord => ({
  tenant: 'acme',
  runId,
  pool: 'main',
  name: 'echo',
  revision: 0,
  state: 'waiting',
  ticket: 1,
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

const placedOn = (runId: string, workerId = 'w1', sessionId = 's1') => run(runId, { state: 'granted', workerId, sessionId });
const S1 = { workerId: 'w1', sessionId: 's1' };

describe('workers of a pool', () => {
  let workers: Workers;
  const credits = (workerId = 'w1') => workers.creditsOf('acme.main', workerId);
  const picked = (record: RunRecord, nowMs = 0) => {
    const placement = workers.pick(record, nowMs);
    return 'worker' in placement ? placement.worker.workerId : placement.missing;
  };

  beforeEach(() => {
    workers = new Workers();
  });

  it('are picked for names that they host, while they have free slots', () => {
    expect(picked(run('1'))).toBe('no-worker');
    workers.beat(beat(), 0);
    expect(picked(run('1'))).toBe('w1');
    expect(picked(run('1', { name: 'other' }))).toBe('no-worker');
    expect(picked(run('1', { tenant: 'rival' }))).toBe('no-worker');
    workers.beat(beat({ freeSlots: 0 }), 0);
    expect(picked(run('1'))).toBe('no-free-slot');
  });

  it('are never promised more than they have: what was given since the heartbeat counts', () => {
    workers.beat(beat(), 0);
    workers.place(placedOn('1'));
    expect(credits()).toBe(1);
    workers.place(placedOn('2'));
    expect(credits()).toBe(0);
    // An old heartbeat that knows of neither changes nothing.
    workers.beat(beat(), 0);
    expect(credits()).toBe(0);
  });

  it('count a run once when the heartbeat lists it', () => {
    workers.place(placedOn('1'));
    workers.beat(beat({ freeSlots: 1, activations: ['1'] }), 0);
    expect(credits()).toBe(1);
  });

  it('have a slot free again with the fact that frees it, before any heartbeat says so', () => {
    workers.place(placedOn('1'));
    workers.beat(beat({ freeSlots: 1, activations: ['1'] }), 0);
    workers.free(placedOn('1'), S1);
    expect(credits()).toBe(2);
  });

  it('are not believed twice: the second heartbeat that still lists a freed run is right', () => {
    workers.beat(beat({ freeSlots: 1, activations: ['1'] }), 0);
    workers.free(placedOn('1'), S1);
    workers.beat(beat({ freeSlots: 1, activations: ['1'] }), 0);
    expect(credits()).toBe(2);
    workers.beat(beat({ freeSlots: 1, activations: ['1'] }), 0);
    expect(credits()).toBe(1);
  });

  it('give way to the one that holds the run warm, then to the one with most room, then in turn', () => {
    workers.beat(beat({ workerId: 'w1', sessionId: 's1', freeSlots: 1 }), 0);
    workers.beat(beat({ workerId: 'w2', sessionId: 's2', slots: 4, freeSlots: 3 }), 0);
    workers.beat(beat({ workerId: 'w3', sessionId: 's3', slots: 4, freeSlots: 3 }), 0);
    expect(picked(run('1', { preferredWorkerId: 'w1' }))).toBe('w1');
    expect([picked(run('2')), picked(run('3')), picked(run('4'))]).toEqual(['w2', 'w3', 'w2']);
    workers.place(placedOn('5', 'w1', 's1'));
    expect(picked(run('6', { preferredWorkerId: 'w1' }))).toBe('w3');
  });

  it('get nothing while they drain, are silent, block their thread, or have said goodbye', () => {
    workers.beat(beat({ draining: true }), 0);
    expect(picked(run('1'))).toBe('no-worker');
    workers.beat(beat({ loopLagMs: LOOP_LAG_MAX_MS + 1 }), 0);
    expect(picked(run('1'))).toBe('no-worker');
    workers.beat(beat(), 0);
    expect(picked(run('1'), WORKER_SILENT_MS)).toBe('w1');
    expect(picked(run('1'), WORKER_SILENT_MS + 1)).toBe('no-worker');
    workers.beat(beat({ leaving: true }), 0);
    expect(picked(run('1'))).toBe('no-worker');
  });

  it('start empty with a new session: what the old one held is not theirs', () => {
    workers.beat(beat(), 0);
    for (const id of ['1', '2']) workers.place(placedOn(id));
    workers.beat(beat({ sessionId: 's2' }), 0);
    expect(credits()).toBe(2);
    workers.beat(beat({ sessionId: 's1', leaving: true }), 0);
    expect(credits()).toBe(2);
  });
});
