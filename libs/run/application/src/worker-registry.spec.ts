import { heartbeatSubject, workerAddress, type Heartbeat } from '@perdure/run-contract';
import { LoopbackBus, ManualHost } from '@perdure/testing';
import { CLOSED_GRACE_MS, DEAD_AFTER_MS, STALLED_AFTER_MS, WorkerRegistry } from './worker-registry';

const BEAT: Heartbeat = {
  v: 1,
  tenant: 'acme',
  pool: 'default',
  workerId: 'w1',
  sessionId: 's1',
  buildId: 'b1',
  hosts: ['invoice'],
  slots: 4,
  freeSlots: 4,
  loopLagMs: 0,
  activations: [],
  draining: false,
  leaving: false,
};

class World {
  readonly host = new ManualHost();
  readonly bus = new LoopbackBus(this.host);
  readonly heard: string[] = [];
  readonly registry = new WorkerRegistry(this, {
    onDeath: ({ sessionId }, death) => this.heard.push(`${sessionId} ${death}`),
    onCapacity: ({ sessionId }) => this.heard.push(`${sessionId} has room`),
  });

  constructor() {
    this.registry.start();
  }

  beat(change: Partial<Heartbeat> = {}, subject?: string): void {
    const beat = { ...BEAT, ...change };
    this.bus.publish(subject ?? heartbeatSubject.build(workerAddress(beat)), JSON.stringify(beat));
  }

  get deaths(): string[] {
    return this.heard.filter((line) => !line.endsWith('has room'));
  }

  async beatFor(ms: number, change: Partial<Heartbeat> = {}): Promise<void> {
    for (let passed = 0; passed < ms; passed += 500) {
      this.beat(change);
      await this.host.advance(500);
    }
  }
}

const session = (sessionId = 's1', workerId = 'w1') => ({ workerId, sessionId });
const wanted = { tenant: 'acme', pool: 'default', name: 'invoice' };

describe('a run that is pinned to a build', () => {
  it('finds workers of that build, and of builds that take its runs over', () => {
    const world = new World();
    world.beat();
    expect(world.registry.find({ ...wanted, build: 'b1' })?.workerId).toBe('w1');
    expect(world.registry.find({ ...wanted, build: 'b0' })).toBeUndefined();
    world.beat({ workerId: 'w2', sessionId: 's2', buildId: 'b2', compatibleWith: ['b0'] });
    expect(world.registry.find({ ...wanted, build: 'b0' })?.workerId).toBe('w2');
  });

  it('is known to have no worker only after one full period of listening, and has one that is full', async () => {
    const world = new World();
    const build = { ...wanted, build: 'b1' };
    expect(world.registry.isHosted(build)).toBeUndefined();
    await world.host.advance(DEAD_AFTER_MS);
    expect(world.registry.isHosted(build)).toBe(false);
    world.beat({ freeSlots: 0 });
    expect(world.registry.isHosted(build)).toBe(true);
    expect(world.registry.isHosted({ ...build, pool: 'other' })).toBe(false);
  });
});

describe('a worker', () => {
  it('lives as long as it is heard', async () => {
    const world = new World();
    await world.beatFor(20_000);
    expect(world.registry.isAlive(session())).toBe(true);
    expect(world.deaths).toEqual([]);
  });

  it('is dead after a silence, and not before', async () => {
    const world = new World();
    world.beat();
    await world.host.advance(DEAD_AFTER_MS);
    expect(world.deaths).toEqual([]);
    await world.host.advance(500);
    expect(world.deaths).toEqual(['s1 worker-lost']);
    expect(world.registry.isAlive(session())).toBe(false);
  });

  it('is not killed by a jump of the wall clock', async () => {
    const world = new World();
    await world.beatFor(4_000);
    world.host.jumpWall(3_600_000);
    await world.beatFor(4_000);
    expect(world.deaths).toEqual([]);
  });

  it('is dead soon after its connection closed, unless it comes back', async () => {
    const world = new World();
    await world.beatFor(500);
    world.registry.connectionClosed(session());
    await world.beatFor(2_000);
    expect(world.deaths).toEqual([]);
    world.registry.connectionClosed(session());
    expect(world.registry.find(wanted)).toBeUndefined();
    await world.host.advance(CLOSED_GRACE_MS + 500);
    expect(world.deaths).toEqual(['s1 worker-lost']);
  });

  it('is dead at once when it says goodbye', () => {
    const world = new World();
    world.beat();
    world.beat({ leaving: true });
    expect(world.deaths).toEqual(['s1 worker-lost']);
  });

  it('that is gone already says goodbye to nobody', () => {
    const world = new World();
    world.beat({ leaving: true });
    expect(world.heard).toEqual([]);
  });

  it('whose thread has stopped turning is given up once, until it turns again', () => {
    const world = new World();
    world.beat();
    world.beat({ loopLagMs: STALLED_AFTER_MS + 1 });
    world.beat({ loopLagMs: STALLED_AFTER_MS + 501 });
    expect(world.deaths).toEqual(['s1 worker-stalled']);
    expect(world.registry.find(wanted)).toBeUndefined();
    world.beat();
    expect(world.registry.isAlive(session())).toBe(true);
  });

  it('is replaced at once by a new session of its own', () => {
    const world = new World();
    world.beat();
    world.beat({ sessionId: 's2' });
    expect(world.deaths).toEqual(['s1 worker-replaced']);
    expect([world.registry.isAlive(session('s1')), world.registry.isAlive(session('s2'))]).toEqual([false, true]);
  });

  it('that was replaced does not kill its successor, whatever it still sends', () => {
    const world = new World();
    world.beat();
    world.beat({ sessionId: 's2' });
    world.beat();
    world.beat({ leaving: true });
    expect(world.deaths).toEqual(['s1 worker-replaced']);
    expect(world.registry.isAlive(session('s2'))).toBe(true);
  });

  it('comes back under the same session after a silence', async () => {
    const world = new World();
    world.beat();
    await world.host.advance(DEAD_AFTER_MS + 500);
    world.beat();
    expect(world.registry.isAlive(session())).toBe(true);
  });
});

describe('one tenant', () => {
  it('cannot end the workers of another by taking their names', () => {
    const world = new World();
    world.beat();
    world.beat({ tenant: 'evil', sessionId: 's9' });
    expect(world.deaths).toEqual([]);
    expect(world.registry.isAlive(session())).toBe(true);
  });

  it('cannot speak for another on a subject of its own', () => {
    const world = new World();
    world.beat();
    world.beat({ sessionId: 's9' }, 'perdure.svc.worker.evil.default.w1');
    world.beat({ leaving: true }, 'perdure.svc.worker.evil.default.w1');
    expect(world.deaths).toEqual([]);
  });

  it('sends what it likes: what is no heartbeat is nothing', () => {
    const world = new World();
    for (const text of ['', '{', 'null', '[]', '{"v":2}', JSON.stringify({ ...BEAT, freeSlots: -1 })]) {
      world.bus.publish('perdure.svc.worker.acme.default.w1', text);
    }
    expect(world.heard).toEqual([]);
  });
});

describe('an observer that has just started', () => {
  it('judges nobody before one full period has passed', async () => {
    const world = new World();
    expect(world.registry.isAlive(session())).toBeUndefined();
    await world.host.advance(DEAD_AFTER_MS - 1);
    expect(world.registry.isAlive(session())).toBeUndefined();
    await world.host.advance(1);
    expect(world.registry.isAlive(session())).toBe(false);
  });

  it('knows of a replaced session at once', () => {
    const world = new World();
    world.beat();
    world.beat({ sessionId: 's2' });
    expect(world.registry.isAlive(session('s1'))).toBe(false);
  });
});

describe('a worker for a run', () => {
  it('is of its tenant and pool, hosts it, has room and does not drain', () => {
    const world = new World();
    world.beat({ workerId: 'a', sessionId: 'a', tenant: 'other' });
    world.beat({ workerId: 'b', sessionId: 'b', pool: 'gpu' });
    world.beat({ workerId: 'c', sessionId: 'c', hosts: ['else'] });
    world.beat({ workerId: 'd', sessionId: 'd', freeSlots: 0 });
    world.beat({ workerId: 'e', sessionId: 'e', draining: true });
    expect(world.registry.find(wanted)).toBeUndefined();
    world.beat({ workerId: 'f', sessionId: 'f', freeSlots: 1 });
    expect(world.registry.find(wanted)).toMatchObject({ workerId: 'f' });
    expect(world.registry.find({ ...wanted, not: 'f' })).toBeUndefined();
  });

  it('is the one with most room, less what it was given since it last said', () => {
    const world = new World();
    world.beat({ workerId: 'a', sessionId: 'a', freeSlots: 2 });
    world.beat({ workerId: 'b', sessionId: 'b', freeSlots: 3 });
    const given = Array.from({ length: 6 }, () => {
      const found = world.registry.find(wanted);
      if (found !== undefined) world.registry.notePlaced(found);
      return found?.workerId;
    });
    expect(given.slice(5)).toEqual([undefined]);
    expect(given.slice(0, 5).sort()).toEqual(['a', 'a', 'b', 'b', 'b']);
    world.beat({ workerId: 'a', sessionId: 'a', freeSlots: 1 });
    expect(world.registry.find(wanted)).toMatchObject({ workerId: 'a' });
  });

  it('is known to hold what its newest heartbeat names', () => {
    const world = new World();
    expect(world.registry.holds(session(), 'run1')).toBeUndefined();
    world.beat({ activations: ['run1'] });
    expect(world.registry.holds(session(), 'run1')).toBe(true);
    world.beat();
    expect(world.registry.holds(session(), 'run1')).toBe(false);
  });

  it('does not say what a worker holds while user code holds up the thread that knows', () => {
    const world = new World();
    world.beat({ loopLagMs: 1_500 });
    expect(world.registry.holds(session(), 'run1')).toBeUndefined();
  });
});
