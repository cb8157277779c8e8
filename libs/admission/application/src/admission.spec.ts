import { ADMISSION_LEASE_KEY, ADMISSION_STATUS_SUBJECT, ADMISSION_TERM_STREAM } from '@perdure/admission-contract';
import { LogFollower } from '@perdure/keeper-application';
import { MemoryEventStore } from '@perdure/platform-event-store-memory';
import { heartbeatSubject, workerAddress, type Heartbeat } from '@perdure/run-contract';
import { KeeperWorld, LoopbackKeyValue, type Happening } from '@perdure/testing';
import { Admission, type AdmissionOptions } from './admission';
import { LEASE_MS, RELEASE_NOT_AFTER_MS } from './leadership';

const REQUESTED: Happening = {
  type: 'RunRequested',
  data: { kind: 'agent', name: 'echo', pool: 'main', input: null, requestHash: 'h', requestedAtMs: 1 },
};
const SUSPENDED: Happening = { type: 'RunSuspended', data: { epoch: 1 } };
const assignedTo = (workerId: string): Happening => ({
  type: 'RunAssigned',
  data: { epoch: 1, workerId, sessionId: `s-${workerId}`, buildId: 'b1', permitId: 'p', term: 1, assignedAtMs: 1 },
});

function beatOf(workerId: string, changes: Partial<Heartbeat> = {}): Heartbeat {
  return {
    v: 1,
    tenant: 'acme',
    pool: 'main',
    workerId,
    sessionId: `s-${workerId}`,
    buildId: 'b1',
    hosts: ['echo'],
    slots: 4,
    freeSlots: 4,
    loopLagMs: 0,
    activations: [],
    draining: false,
    leaving: false,
    ...changes,
  };
}

/** A cell with any number of admissions, and workers that send heartbeats. */
class Cell extends KeeperWorld {
  admission(incarnation: string, options: AdmissionOptions = {}) {
    const host = this.hostOf(incarnation);
    const leases = new LoopbackView(this.leases);
    const service = new Admission({ bus: this.bus, leases, store: this.store, host, instanceId: incarnation }, options);
    const follower = new LogFollower({ store: new MemoryEventStore(this.log), blobs: this.blobs, host });
    follower.register(service.keeper);
    return {
      service,
      follower,
      start: async () => {
        service.start();
        await follower.start();
        await this.host.settle();
      },
      /** As a process that was stopped: it says and renews nothing. */
      freeze: () => void (leases.frozen = true),
    };
  }

  beat(beat: Heartbeat): void {
    this.bus.publish(heartbeatSubject.build(workerAddress(beat)), JSON.stringify(beat));
  }

  async advanceWithBeats(byMs: number, beat: Heartbeat): Promise<void> {
    for (let passed = 0; passed < byMs; passed += 500) {
      this.beat(beat);
      await this.host.advance(500);
    }
  }

  request = (runId: string) => this.happen(runId, REQUESTED);
  assign = (runId: string, workerId: string) => this.happen(runId, assignedTo(workerId));
  releases = () => this.commands('ReleaseRun');
  released = () => this.releases().map(({ runId }) => runId);

  async status(runId: string): Promise<unknown> {
    return JSON.parse(
      await this.bus.request(ADMISSION_STATUS_SUBJECT, JSON.stringify({ tenant: 'acme', runId }), { timeoutMs: 10 }),
    );
  }
}

/** One process's access to the leases: when it is frozen, nothing comes back. */
class LoopbackView extends LoopbackKeyValue {
  frozen = false;

  constructor(private readonly shared: LoopbackKeyValue) {
    super();
  }

  override get = (key: string) => this.unlessFrozen(() => this.shared.get(key));
  override compareAndSet = (key: string, value: string, expected: number) =>
    this.unlessFrozen(() => this.shared.compareAndSet(key, value, expected));
  override delete = (key: string) => this.unlessFrozen(() => this.shared.delete(key));

  private unlessFrozen<T>(ask: () => Promise<T>): Promise<T> {
    return this.frozen ? new Promise(() => undefined) : ask();
  }
}

let world: Cell;

beforeEach(() => {
  world = new Cell();
});

async function leader(options: { readonly queueMax?: number } = {}) {
  const admission = world.admission('a', options);
  await admission.start();
  expect(admission.service.term).toBe(1);
  return admission;
}

describe('admission', () => {
  it('releases a run to a worker with a free slot, in the very turn in which it hears of it', async () => {
    await leader();
    world.beat(beatOf('w1'));
    world.hintOnly('r1', REQUESTED);
    // No await in between: not a timer, not even a microtask.
    expect(world.releases()).toEqual([
      expect.objectContaining({ runId: 'r1', workerId: 'w1', sessionId: 's-w1', buildId: 'b1', term: 1 }),
    ]);
  });

  it('gives a permit a time after which it is worthless', async () => {
    await leader();
    world.beat(beatOf('w1'));
    await world.request('r1');
    expect(world.releases()[0]?.notAfterMs).toBe(world.host.clock.nowMs() + RELEASE_NOT_AFTER_MS);
  });

  it('releases by the log alone when the bus says nothing', async () => {
    await leader();
    world.beat(beatOf('w1'));
    await world.append('r1', REQUESTED);
    expect(world.released()).toEqual(['r1']);
  });

  it('releases once, although bus and log both tell', async () => {
    await leader();
    world.beat(beatOf('w1'));
    await world.request('r1');
    await world.assign('r1', 'w1');
    await world.host.advance(5_000);
    expect(world.released()).toEqual(['r1']);
  });

  it('never gives away more slots than there are, and goes on as they become free', async () => {
    const { service } = await leader();
    world.beat(beatOf('w1', { slots: 2, freeSlots: 2 }));
    for (const id of ['r1', 'r2', 'r3', 'r4']) await world.request(id);
    expect(world.released()).toEqual(['r1', 'r2']);
    expect(service.permitsHeld).toBe(2);
    await world.assign('r1', 'w1');
    world.beat(beatOf('w1', { slots: 2, freeSlots: 1, activations: ['r1'] }));
    expect(world.released()).toEqual(['r1', 'r2']);
    await world.happen('r1', { type: 'RunCompleted', data: { output: 1, endedAtMs: 1 } });
    expect(world.released()).toEqual(['r1', 'r2', 'r3']);
    await world.assign('r2', 'w1');
    await world.happen('r2', SUSPENDED);
    expect(world.released()).toEqual(['r1', 'r2', 'r3', 'r4']);
  });

  it('sends a woken run back to the worker that holds it warm', async () => {
    await leader();
    for (const id of ['w1', 'w2', 'w3']) world.beat(beatOf(id, { slots: 9, freeSlots: id === 'w3' ? 1 : 9 }));
    await world.request('r1');
    await world.assign('r1', 'w3');
    await world.happen('r1', SUSPENDED);
    await world.happen('r1', { type: 'RunWoken', data: { preferredWorkerId: 'w3' } });
    expect(world.releases().at(-1)).toMatchObject({ runId: 'r1', workerId: 'w3' });
  });

  it('does not take a lost activation for a new request: the owner places it with the same permit', async () => {
    const { service } = await leader();
    world.beat(beatOf('w1', { slots: 9, freeSlots: 9 }));
    await world.request('r1');
    await world.assign('r1', 'w1');
    await world.happen('r1', { type: 'ActivationLost', data: { epoch: 1, reason: 'worker-lost' } });
    expect([world.released(), service.permitsHeld]).toEqual([['r1'], 1]);
  });

  it('lets go of a run that is paused, and asks again when it is resumed', async () => {
    const { service } = await leader();
    world.beat(beatOf('w1'));
    await world.request('r1');
    await world.assign('r1', 'w1');
    await world.happen('r1', { type: 'RunQuarantined', data: { epoch: 1, activationsLost: 3 } });
    expect(service.permitsHeld).toBe(0);
    await world.happen('r1', { type: 'RunResumed', data: { reason: 'fixed', commandId: 'c' } });
    expect(world.released()).toEqual(['r1', 'r1']);
  });

  it('repeats the identical release while nobody answers, until no owner would accept it, then grants anew', async () => {
    await leader();
    world.beat(beatOf('w1', { slots: 1, freeSlots: 1 }));
    world.answers.set('r1', 'silence');
    await world.request('r1');
    await world.host.advance(RELEASE_NOT_AFTER_MS);
    expect(world.released().length).toBeGreaterThan(1);
    expect(new Set(world.bus.requested.map(({ payload }) => payload)).size).toBe(1);
    await world.advanceWithBeats(2_000, beatOf('w1', { slots: 1, freeSlots: 1 }));
    expect(new Set(world.releases().map(({ permitId }) => permitId)).size).toBeGreaterThan(1);
  });

  it('gives the slot of a release that nobody answers to the next run', async () => {
    await leader();
    world.beat(beatOf('w1', { slots: 1, freeSlots: 1 }));
    world.answers.set('r1', 'silence');
    await world.request('r1');
    await world.request('r2');
    expect(world.released()).not.toContain('r2');
    await world.advanceWithBeats(2_500, beatOf('w1', { slots: 1, freeSlots: 1 }));
    expect(world.released()).toContain('r2');
  });

  it('forgets a run whose owner says that it has ended', async () => {
    const { service } = await leader();
    world.beat(beatOf('w1', { slots: 1, freeSlots: 1 }));
    world.answers.set('r1', { refused: 'RunAlreadyEnded' });
    await world.request('r1');
    await world.request('r2');
    expect(world.released()).toEqual(['r1', 'r2']);
    expect(service.permitsHeld).toBe(1);
  });

  it('waits a little before it grants anew what came too late', async () => {
    await leader();
    world.beat(beatOf('w1', { slots: 1, freeSlots: 1 }));
    world.answers.set('r1', { refused: 'ReleaseExpired' });
    await world.request('r1');
    expect(world.released()).toEqual(['r1']);
    world.answers.delete('r1');
    await world.advanceWithBeats(1_000, beatOf('w1', { slots: 1, freeSlots: 1 }));
    expect(world.released()).toEqual(['r1', 'r1']);
  });

  it('refuses what a full queue cannot hold, with the time after which to come again, until the owner has answered', async () => {
    await leader({ queueMax: 2 });
    world.silent = 1;
    for (const id of ['r1', 'r2', 'r3']) await world.request(id);
    await world.host.advance(1_200);
    const refusals = world.commands('RefuseRun');
    expect(refusals.map(({ runId }) => runId)).toEqual(['r3', 'r3']);
    expect(refusals[0]).toMatchObject({ code: 'PoolQueueFull', retryAfterMs: expect.any(Number) as number });
    await world.happen('r3', { type: 'RunRefused', data: { code: 'PoolQueueFull', message: 'full' } });
    world.beat(beatOf('w1', { slots: 9, freeSlots: 9 }));
    expect(world.released()).toEqual(['r1', 'r2']);
  });

  it('says where a run stands and why', async () => {
    const { service } = await leader();
    const status = (runId: string) => world.status(runId);
    expect(await status('r1')).toEqual({ state: 'unknown' });
    await world.request('r1');
    expect(await status('r1')).toMatchObject({ state: 'queued', position: 1, why: 'no-worker' });
    await world.request('r2');
    world.beat(beatOf('w1', { slots: 1, freeSlots: 0 }));
    expect(await status('r1')).toMatchObject({ state: 'queued', position: 1, queueLength: 2, why: 'no-free-slot' });
    expect(await status('r2')).toMatchObject({ state: 'queued', position: 2, why: 'behind-others' });
    world.beat(beatOf('w1', { slots: 1, freeSlots: 1 }));
    expect(await status('r1')).toMatchObject({ state: 'releasing', workerId: 'w1' });
    await world.assign('r1', 'w1');
    expect(await status('r1')).toMatchObject({ state: 'held', workerId: 'w1' });
    await service.close();
  });

  it('does not trip over what it does not understand', async () => {
    await leader();
    world.bus.publish('perdure.evt.acme.run.run-requested.r1', 'not json');
    world.hintOnly('r1', REQUESTED, 'perdure.evt.rival.run.run-requested.r1');
    world.bus.publish('perdure.svc.worker.rival.main.w1', JSON.stringify(beatOf('w1')));
    world.bus.publish('perdure.svc.worker.acme.main.w1', '{}');
    await world.request('r1');
    expect(world.released()).toEqual([]);
    expect(world.host.logged.filter(({ level }) => level === 'warn')).toHaveLength(4);
    expect(await world.bus.request(ADMISSION_STATUS_SUBJECT, 'nonsense', { timeoutMs: 10 })).toBe('{"state":"unknown"}');
  });
});

describe('the leader of admission', () => {
  it('begins at once where there was none, with a term from the log', async () => {
    const beganAtMs = world.host.clock.monotonicMs();
    await leader();
    expect(world.host.clock.monotonicMs()).toBe(beganAtMs);
    expect(await world.store.read(ADMISSION_TERM_STREAM, { direction: 'forward', from: 'start', limit: 9 })).toHaveLength(1);
  });

  it('leaves a standby idle, and keeps its lease', async () => {
    await leader();
    const standby = world.admission('b');
    await standby.start();
    await world.host.advance(10 * LEASE_MS);
    expect(standby.service.term).toBeUndefined();
    world.beat(beatOf('w1'));
    await world.request('r1');
    expect(world.released()).toEqual(['r1']);
  });

  it('hands over at once when it says goodbye', async () => {
    const first = await leader();
    const standby = world.admission('b');
    await standby.start();
    await first.service.close();
    await world.host.advance(300);
    expect(standby.service.term).toBe(2);
  });

  it('is replaced when it dies, but only after nothing that it sent can be accepted any more', async () => {
    const first = await leader();
    const standby = world.admission('b');
    await standby.start();
    await world.request('r1');
    first.freeze();
    await world.host.advance(LEASE_MS);
    world.beat(beatOf('w1'));
    await world.host.advance(RELEASE_NOT_AFTER_MS);
    expect(world.released()).toEqual([]);
    await world.host.advance(1_500);
    world.beat(beatOf('w1'));
    expect(standby.service.term).toBe(2);
    expect(world.releases()).toEqual([expect.objectContaining({ runId: 'r1', term: 2 })]);
  });

  it('stops by its own clock when the lease cannot be renewed, before any standby may start', async () => {
    const first = await leader();
    world.leases.failing = true;
    await world.host.advance(LEASE_MS);
    expect(first.service.term).toBeUndefined();
    world.beat(beatOf('w1'));
    await world.request('r1');
    expect(world.released()).toEqual([]);
    world.leases.failing = false;
    await world.host.advance(LEASE_MS * 3);
    world.beat(beatOf('w1'));
    expect(first.service.term).toBe(2);
    expect(world.released()).toEqual(['r1']);
  });

  it('steps down when an owner has seen a later term', async () => {
    const first = await leader();
    world.beat(beatOf('w1'));
    world.answers.set('r1', { refused: 'ReleaseSuperseded' });
    await world.request('r1');
    expect(first.service.term).toBeUndefined();
  });

  it('steps down when somebody else holds the lease', async () => {
    const first = await leader();
    await world.leases.put(ADMISSION_LEASE_KEY, JSON.stringify({ leader: 'somebody', renewal: 1 }));
    await world.host.advance(600);
    expect(first.service.term).toBeUndefined();
  });

  it('knows after a restart what waited, and what holds permits', async () => {
    const first = await leader();
    world.beat(beatOf('w1', { slots: 1, freeSlots: 1 }));
    for (const id of ['r1', 'r2', 'r3']) await world.request(id);
    await world.assign('r1', 'w1');
    await first.service.close();
    await first.follower.close();
    await world.happen('r2', { type: 'RunCancelled', data: { reason: 'no', endedAtMs: 1 } });
    const second = world.admission('b');
    await second.start();
    expect([second.service.term, second.service.permitsHeld]).toEqual([2, 1]);
    world.beat(beatOf('w1', { slots: 2, freeSlots: 1, activations: ['r1'] }));
    expect(world.released()).toEqual(['r1', 'r3']);
  });
});
