import { CHECKPOINT_EVERY_MS, LogFollower } from '@perdure/keeper-application';
import { partitionOf, token } from '@perdure/kernel';
import { MemoryDueIndex } from '@perdure/platform-due-index-memory';
import { MemoryEventStore } from '@perdure/platform-event-store-memory';
import { KeeperWorld, type Happening } from '@perdure/testing';
import { PAGE } from './due-window';
import { FIRING_MAX } from './firing';
import { LATE_PER_SECOND, RISE_MS } from './late-release';
import { TimerKeeper, type TimerOwnership } from './timer-keeper';

class Partitions implements TimerOwnership {
  private readonly listeners = new Set<() => void>();
  constructor(private owned: (partition: number) => boolean = () => true) {}
  owns = (partition: number) => this.owned(partition);
  onChange = (listener: () => void) => {
    this.listeners.add(listener);
    return { close: async () => void this.listeners.delete(listener) };
  };
  become(owned: (partition: number) => boolean): void {
    this.owned = owned;
    for (const listener of this.listeners) listener();
  }
}

class TimerWorld extends KeeperWorld {
  readonly startMs = this.host.clock.nowMs();
  readonly index = new MemoryDueIndex();

  timers({ ownership = new Partitions() as TimerOwnership, index = this.index } = {}) {
    const keeper = new TimerKeeper({ bus: this.bus, host: this.host, ownership, index });
    const follower = new LogFollower({ store: new MemoryEventStore(this.log), blobs: this.blobs, host: this.host });
    follower.register(keeper);
    return {
      keeper,
      follower,
      start: async () => {
        keeper.start();
        await follower.start();
        await this.host.settle();
      },
      stop: async () => {
        await keeper.close();
        await follower.close();
      },
    };
  }

  set = (timerId: string, inMs: number): Happening => ({
    type: 'TimerSet',
    data: { timerId, purpose: 'sleep', call: timerId, dueAtMs: this.startMs + inMs },
  });

  fired = () => this.commands('FireTimer').map(({ runId, timerId }) => `${runId}/${timerId}`);
  firedAtMs = () => this.bus.requested.map(({ atMs }) => atMs);
}

const FIRED = (timerId: string): Happening => ({ type: 'TimerFired', data: { timerId, dueAtMs: 0 } });
const CANCELLED = (timerId: string): Happening => ({ type: 'TimerCancelled', data: { timerId } });
const ENDED: Happening = { type: 'RunCompleted', data: { output: null, endedAtMs: 1 } };

let world: TimerWorld;

beforeEach(() => {
  world = new TimerWorld();
});

describe('timers', () => {
  it('fire when they are due: not a millisecond earlier, and each once', async () => {
    const timers = world.timers();
    await timers.start();
    await world.happen('r1', world.set('1', 5_000));
    await world.host.advance(4_999);
    expect(world.fired()).toEqual([]);
    await world.host.advance(1);
    expect(world.fired()).toEqual(['r1/1']);
    await world.happen('r1', FIRED('1'));
    await world.host.advance(60_000);
    expect(world.fired()).toEqual(['r1/1']);
    expect(timers.keeper.pending).toBe(0);
  });

  it('fire in the order of their due times', async () => {
    await world.timers().start();
    for (const [run, inMs] of [
      ['late', 900],
      ['soon', 10],
      ['mid', 500],
    ] as const)
      await world.happen(run, world.set('1', inMs));
    await world.host.advance(1_000);
    expect(world.fired()).toEqual(['soon/1', 'mid/1', 'late/1']);
    expect(world.firedAtMs()).toEqual([10, 500, 900]);
  });

  it('fire by the log alone, and by the bus alone', async () => {
    await world.timers().start();
    await world.append('by-log', world.set('1', 100));
    world.hintOnly('by-bus', world.set('1', 100));
    await world.host.advance(100);
    expect(world.fired().sort()).toEqual(['by-bus/1', 'by-log/1']);
  });

  it('do not fire when they were cancelled, or their run has ended, whoever tells it first', async () => {
    await world.timers().start();
    await world.happen('r1', world.set('1', 100));
    await world.happen('r1', CANCELLED('1'));
    await world.happen('r2', world.set('1', 100));
    await world.happen('r2', ENDED);
    world.hintOnly('r3', world.set('1', 100));
    world.bus.publish('perdure.evt.acme.run.run-completed.r3', hint('r3', 7, ENDED));
    await world.append('r3', world.set('1', 100));
    await world.host.advance(10_000);
    expect(world.fired()).toEqual([]);
  });

  it('survive jumps of the wall clock in both directions', async () => {
    await world.timers().start();
    await world.happen('r1', world.set('1', 3_600_000));
    await world.happen('r2', world.set('1', 5_000));
    world.host.jumpWall(-10_000);
    await world.host.advance(14_999);
    expect(world.fired()).toEqual([]);
    await world.host.advance(1);
    expect(world.fired()).toEqual(['r2/1']);
    world.host.jumpWall(3_600_000);
    await world.host.advance(1_000);
    expect(world.fired()).toEqual(['r2/1', 'r1/1']);
  });

  it('are not a millisecond early when the wall clock was set back while they were waited for', async () => {
    await world.timers().start();
    await world.happen('r1', world.set('1', 100));
    await world.host.advance(50);
    world.host.jumpWall(-3);
    await world.host.advance(52);
    expect(world.fired()).toEqual([]);
    await world.host.advance(1);
    expect(world.fired()).toEqual(['r1/1']);
  });

  it('believe the owner who says that it is too early', async () => {
    await world.timers().start();
    world.answers.set('r1', { refused: 'TimerNotDue', retryAfterMs: 40 });
    await world.happen('r1', world.set('1', 100));
    await world.host.advance(100);
    world.answers.delete('r1');
    await world.host.advance(39);
    expect(world.fired()).toHaveLength(1);
    await world.host.advance(1);
    expect(world.fired()).toHaveLength(2);
    await world.host.advance(10_000);
    expect(world.fired()).toHaveLength(2);
  });

  it('are repeated, identical, until somebody answers', async () => {
    const timers = world.timers();
    await timers.start();
    world.answers.set('r1', 'silence');
    await world.happen('r1', world.set('1', 0));
    await world.host.advance(10_000);
    expect(world.fired().length).toBeGreaterThan(4);
    expect(new Set(world.bus.requested.map(({ payload }) => payload)).size).toBe(1);
    world.answers.delete('r1');
    await world.host.advance(2_000);
    expect(timers.keeper.pending).toBe(0);
  });

  it.each(['TimerUnknown', 'RunAlreadyEnded', 'RunNotFound'])('are closed when the owner says %s', async (refused) => {
    const timers = world.timers();
    await timers.start();
    world.answers.set('r1', { refused });
    await world.happen('r1', world.set('1', 0));
    await world.host.advance(60_000);
    expect([world.fired(), timers.keeper.pending]).toEqual([['r1/1'], 0]);
  });

  it('are never dropped for a refusal that nobody knows', async () => {
    const timers = world.timers();
    await timers.start();
    world.answers.set('r1', { refused: 'NeverHeardOf' });
    await world.happen('r1', world.set('1', 0));
    await world.host.advance(30_000);
    expect(timers.keeper.pending).toBe(1);
    expect(world.fired().length).toBeGreaterThan(1);
    expect(world.host.logged.some(({ level }) => level === 'error')).toBe(true);
  });

  it('have a bounded number of requests under way after a restart, and none is forgotten', async () => {
    for (let run = 0; run < 3 * FIRING_MAX; run += 1) await world.append(`r${run}`, world.set('1', run % 50));
    await world.host.advance(20_000);
    world.silent = FIRING_MAX;
    const timers = world.timers();
    await timers.start();
    expect(world.fired()).toHaveLength(FIRING_MAX);
    await world.host.advance(5_000);
    expect(new Set(world.fired()).size).toBe(3 * FIRING_MAX);
    expect(timers.keeper.pending).toBe(0);
  });

  it('come back after a restart from the checkpoint, without those that were closed meanwhile', async () => {
    const before = world.timers();
    await before.start();
    for (const id of ['1', '2', '3']) await world.happen('r1', world.set(id, 1_000));
    await before.stop();
    await world.append('r1', FIRED('2'));
    await world.append('r1', world.set('4', 2_000));
    await world.append('r1', FIRED('4'));
    await world.host.advance(5_000);
    const after = world.timers();
    await after.start();
    expect(world.fired()).toEqual(['r1/1', 'r1/3']);
    expect(after.keeper.pending).toBe(0);
  });

  it('are fired by the instance that owns their partition; another takes over what becomes its own', async () => {
    const isEven = (partition: number) => partition % 2 === 0;
    const evens = new Partitions(isEven);
    await world.timers({ ownership: evens }).start();
    const runs = Array.from({ length: 20 }, (_, index) => `run-${index}`);
    for (const run of runs) await world.happen(run, world.set('1', 100));
    await world.host.advance(3_000);
    const evenRuns = runs.filter((run) => isEven(partitionOf(token(run, 'run id'))));
    expect(world.fired().sort()).toEqual(evenRuns.map((run) => `${run}/1`).sort());
    evens.become(() => true);
    await world.host.settle();
    expect(new Set(world.fired()).size).toBe(runs.length);
    expect(world.fired()).toHaveLength(runs.length);
  });

  it('need one host timer, however many there are', async () => {
    await world.timers().start();
    const others = world.host.timersPending;
    for (let run = 0; run < 50; run += 1) await world.happen(`r${run}`, world.set('1', 1_000 + run));
    expect(world.host.timersPending).toBe(others + 1);
  });
});

const DAY_MS = 86_400_000;

describe('timers on disk', () => {
  const save = () => world.host.advance(CHECKPOINT_EVERY_MS);

  it('leave memory once they are saved, and fire when they are due', async () => {
    const { keeper, start } = world.timers();
    await start();
    await world.happen('r1', world.set('1', 3 * DAY_MS));
    await world.happen('r2', world.set('1', 60_000));
    await save();
    expect([world.index.size, keeper['open'].inMemory]).toEqual([2, 0]);
    await world.host.advance(29_999);
    expect(world.fired()).toEqual([]);
    await world.host.advance(1);
    expect(world.fired()).toEqual(['r2/1']);
    world.host.jumpWall(3 * DAY_MS);
    await world.host.advance(1_000);
    expect(world.fired()).toEqual(['r2/1', 'r1/1']);
  });

  it('fire when they were set and are due between two savings', async () => {
    await world.timers().start();
    await world.happen('far', world.set('1', DAY_MS));
    await save();
    await world.happen('near', world.set('1', CHECKPOINT_EVERY_MS + 20_000));
    await world.host.advance(20_000);
    expect(world.fired()).toEqual(['near/1']);
  });

  it('do not fire when they were cancelled or their run ended while they lay there', async () => {
    const { keeper, start } = world.timers();
    await start();
    for (const run of ['r1', 'r2', 'r3']) await world.happen(run, world.set('1', 60_000));
    await save();
    await world.happen('r1', CANCELLED('1'));
    await world.happen('r2', ENDED);
    expect(keeper.pending).toBe(1);
    await save();
    expect(world.index.size).toBe(1);
    await world.host.advance(60_000);
    expect(world.fired()).toEqual(['r3/1']);
  });

  it('are found by the next process, which reads only the rest of the log', async () => {
    const before = world.timers();
    await before.start();
    await world.happen('r1', world.set('1', DAY_MS));
    await before.stop();
    await world.append('r2', world.set('1', DAY_MS + 1));
    const after = world.timers();
    const told: string[] = [];
    const apply = after.keeper.apply.bind(after.keeper);
    after.keeper.apply = (fact) => void (told.push(fact.stream), apply(fact));
    await after.start();
    expect(told).toEqual(['run-acme.r2']);
    world.host.jumpWall(DAY_MS);
    await world.host.advance(2_000);
    expect(world.fired()).toEqual(['r1/1', 'r2/1']);
  });

  it('come from the log, when the disk was lost', async () => {
    const before = world.timers();
    await before.start();
    await world.happen('r1', world.set('1', 100));
    await before.stop();
    await world.timers({ index: new MemoryDueIndex() }).start();
    await world.host.advance(100);
    expect(world.fired()).toEqual(['r1/1']);
  });

  it('come into memory page by page, none left behind, though all are due at one moment', async () => {
    const runs = Array.from({ length: 2 * PAGE + 1 }, (_, run) => `r${run}`);
    const before = world.timers();
    await before.start();
    for (const run of runs) await world.append(run, world.set('1', DAY_MS));
    await before.stop();
    const after = world.timers();
    await after.start();
    expect(after.keeper['open'].inMemory).toBe(0);
    world.host.jumpWall(DAY_MS);
    await world.host.advance(5_000);
    expect(world.fired().sort()).toEqual(runs.map((run) => `${run}/1`).sort());
  });
});

describe('timers after an outage', () => {
  const LATE = 1_500;

  async function overdue(): Promise<void> {
    for (let run = 0; run < LATE; run += 1) await world.append(`late${run}`, world.set('1', run));
    world.host.jumpWall(30 * DAY_MS);
    await world.timers().start();
  }

  it('go off at a bounded rate, in their order, every one of them', async () => {
    await overdue();
    await world.host.advance(RISE_MS);
    const beforeThat = world.fired().length;
    expect(beforeThat).toBeLessThan((LATE_PER_SECOND * RISE_MS) / 1_000);
    await world.host.advance(1_000);
    const inOneSecond = world.fired().length - beforeThat;
    expect(inOneSecond).toBeGreaterThan(LATE_PER_SECOND / 2);
    expect(inOneSecond).toBeLessThan(LATE_PER_SECOND * 1.5);
    await world.host.advance(2 * (LATE / LATE_PER_SECOND) * 1_000);
    expect(world.fired()).toEqual(Array.from({ length: LATE }, (_, run) => `late${run}/1`));
  });

  it('do not hold up what becomes due meanwhile', async () => {
    await overdue();
    await world.happen('now', world.set('1', 30 * DAY_MS + 500));
    await world.host.advance(501);
    expect(world.fired()).toContain('now/1');
    expect(world.fired().length).toBeLessThan(LATE / 2);
  });
});

function hint(runId: string, revision: number, { type, data }: Happening): string {
  return JSON.stringify({ v: 1, id: 'x', type, stream: `run-acme.${runId}`, revision, data, metadata: {} });
}
