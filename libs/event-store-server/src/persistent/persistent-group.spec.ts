import { chanceFrom } from '../crash/chance';
import { bucketOf } from './consumer-strategies';
import { type FakeConsumer, GroupWorld, SETTINGS } from './group.world';

function ids(...numbers: number[]): string[] {
  return numbers.map(String);
}

describe('what a group hands out', () => {
  it('goes to consumers as far as they have room, and is read as far as the buffer has', () => {
    const world = new GroupWorld(100);
    const a = world.connect('a', 2);
    const b = world.connect('b', 1);
    world.run();
    expect([a.seen, b.seen]).toEqual([ids(0, 2), ids(1)]);
    expect(world.group.counts).toEqual({ buffered: 10, retries: 0, inFlight: 3 });
    world.group.acknowledge(ids(0));
    world.run();
    expect(a.seen).toEqual(ids(0, 2, 3));
    a.hasRoom = false;
    world.group.acknowledge(ids(2, 3));
    world.run();
    expect(a.seen).toEqual(ids(0, 2, 3));
  });

  it('is first what is to be retried, by place, then what was parked, then what is new', () => {
    const world = new GroupWorld(6);
    const a = world.connect('a', 3);
    world.run();
    world.group.reject(ids(2), 'retry', '');
    world.group.reject(ids(0), 'retry', '');
    world.replayable.push(7);
    world.group.replayParked();
    a.hasRoom = false;
    world.run();
    a.hasRoom = true;
    world.group.acknowledge(ids(1));
    a.seen.length = 0;
    world.run();
    world.group.acknowledge([...ids(0, 2), 'parked-7']);
    world.run();
    expect(a.seen).toEqual(['0', '2', 'parked-7', '3', '4', '5']);
  });

  it('waits while another event of the same id is in flight', () => {
    const world = new GroupWorld(2, { minCheckpointCount: 1, checkpointAfterMs: 0 });
    world.idOf = () => 'same';
    const a = world.connect('a');
    world.run();
    expect(a.seen).toHaveLength(1);
    world.group.acknowledge(['same']);
    world.tick();
    expect(a.seen).toHaveLength(2);
    expect(world.checkpoint).toBe(0);
    world.group.acknowledge(['same']);
    world.tick();
    expect(world.checkpoint).toBe(1);
  });

  it('stays with one consumer by stream when pinned, and does not hold up the others', () => {
    const world = new GroupWorld(8, { strategy: 'Pinned', minCheckpointCount: 1, checkpointAfterMs: 0 });
    world.bucketOf = (place) => bucketOf(place % 2 === 0 ? 'even' : 'odd');
    const consumers = Array.from({ length: 8 }, (_, n) => world.connect(`c${n}`, 1));
    world.run();
    const [even, odd] = ids(0, 1).map((first) => consumers.find(({ seen }) => seen[0] === first)) as FakeConsumer[];
    expect(even).not.toBe(odd);
    for (const id of ids(1, 3, 5)) {
      world.group.acknowledge([id]);
      world.tick();
    }
    expect(even?.seen).toEqual(ids(0));
    expect(odd?.seen).toEqual(ids(1, 3, 5, 7));
    // What was passed over comes before what the others are at.
    expect(world.checkpoint).toBe(-1);
    world.group.acknowledge(ids(0));
    world.tick();
    expect(even?.seen).toEqual(ids(0, 2));
    expect(world.checkpoint).toBe(1);
  });
});

describe('what was not acknowledged', () => {
  it('is tried again as often as allowed, then parked with the reason', () => {
    const world = new GroupWorld(1, { maxRetryCount: 2 });
    const a = world.connect('a');
    for (const retryCount of [0, 1, 2]) {
      world.run();
      expect(a.held.get('0')).toBe(retryCount);
      a.held.clear();
      world.group.reject(['0'], 'retry', 'no');
    }
    world.run();
    expect(a.seen).toHaveLength(3);
    expect(world.parked).toEqual([{ id: '0', reason: 'Reached retry count of 2' }]);
  });

  it('times out on the tick after its time, counts as a try, and takes no late answer', () => {
    const world = new GroupWorld(2, { messageTimeoutMs: 2500 });
    const a = world.connect('a', 1);
    world.run();
    world.tick();
    world.tick();
    expect(a.seen).toEqual(ids(0));
    a.hasRoom = false;
    world.tick();
    expect(world.group.counts).toMatchObject({ retries: 1, inFlight: 0 });
    world.group.acknowledge(['0']);
    expect(world.group.counts.retries).toBe(1);
    a.hasRoom = true;
    world.run();
    expect(a.held.get('0')).toBe(1);
  });

  it('never times out when the timeout is 0', () => {
    const world = new GroupWorld(1, { messageTimeoutMs: 0 });
    world.connect('a');
    world.run();
    world.tick(1e12);
    expect(world.group.counts).toMatchObject({ retries: 0, inFlight: 1 });
  });

  it('goes to others when its consumer leaves', () => {
    const world = new GroupWorld(4);
    const a = world.connect('a', 2);
    const b = world.connect('b', 2);
    world.run();
    world.group.disconnect(a);
    world.group.acknowledge(ids(1, 3));
    world.run();
    expect(b.seen).toEqual(ids(1, 3, 0, 2));
    expect(b.held.get('0')).toBe(1);
  });

  it('is parked or left out at once where a consumer says so', () => {
    const world = new GroupWorld(3, { minCheckpointCount: 1 });
    world.connect('a');
    world.run();
    world.group.reject(ids(0), 'park', 'broken');
    world.group.reject(ids(1, 2), 'skip', 'no use');
    world.tick();
    expect(world.parked).toEqual([{ id: '0', reason: "Client explicitly NAK'ed message.\nbroken" }]);
    expect(world.checkpoint).toBe(2);
  });

  it('holds the checkpoint until it could be parked, and bounds what is read meanwhile', () => {
    const world = new GroupWorld(100, { minCheckpointCount: 1, checkpointAfterMs: 0 });
    const a = world.connect('a', 1);
    world.refusesParked = true;
    for (let count = 0; count < 50; count += 1) {
      world.run();
      world.group.reject([...a.held.keys()], 'park', '');
      a.held.clear();
    }
    expect(a.seen.length).toBeLessThanOrEqual(SETTINGS.historyBufferSize + 1);
    world.tick();
    expect(world.checkpoint).toBe(-1);
    world.refusesParked = false;
    world.tick();
    expect(world.parked.map(({ id }) => id)).toEqual(a.seen.slice(0, world.parked.length));
    world.tick();
    expect(world.checkpoint).toBe(world.parked.length - 1);
  });
});

describe('what cannot be read', () => {
  it('is left out when it is gone, and parked when it is damaged', () => {
    const world = new GroupWorld(4, { minCheckpointCount: 1 });
    world.gone.add(1);
    world.damaged.add(2);
    const a = world.connect('a');
    world.run();
    expect(a.seen).toEqual(ids(0, 3));
    expect(world.parked).toEqual([{ id: '2', reason: 'damaged' }]);
    world.group.acknowledge(ids(0, 3));
    world.tick();
    expect(world.checkpoint).toBe(3);
  });
});

describe('parked messages that are replayed', () => {
  it('are settled by any answer, and do not hold the checkpoint', () => {
    const world = new GroupWorld(2, { minCheckpointCount: 1 });
    world.replayable.push(5, 6, 7);
    world.group.replayParked();
    const a = world.connect('a', 10);
    world.run();
    expect(world.group.isReplayingParked).toBe(false);
    expect(a.seen).toEqual(['parked-5', 'parked-6', 'parked-7', '0', '1']);
    world.group.acknowledge(ids(0, 1));
    world.tick();
    expect(world.checkpoint).toBe(1);
    world.group.acknowledge(['parked-6']);
    world.group.reject(['parked-5'], 'park', '');
    expect(world.replayed).toEqual([6, 5]);
    expect(world.parked.map(({ id }) => id)).toEqual(['parked-5']);
  });

  it('are taken in as far as there is room', () => {
    const world = new GroupWorld(0);
    world.replayable.push(...Array.from({ length: 35 }, (_, n) => n));
    world.group.replayParked();
    world.run();
    expect(world.group.counts.retries).toBe(SETTINGS.historyBufferSize);
    const a = world.connect('a', 1);
    for (let count = 0; count < 35; count += 1) {
      world.run();
      world.group.acknowledge([...a.held.keys()]);
      a.held.clear();
    }
    expect(world.replayed).toHaveLength(35);
  });
});

describe('a group through any life', () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed))('skips nothing and repeats little, seed %i', (seed) => {
    const chance = chanceFrom(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(chance() * list.length)] as T;
    const strategy = pick(['RoundRobin', 'DispatchToSingle', 'Pinned'] as const);
    const maxCheckpointCount = 5 + Math.floor(chance() * 20);
    const world = new GroupWorld(200, { strategy, maxCheckpointCount, maxRetryCount: 3, historyBufferSize: 20 });
    world.bucketOf = (place) => bucketOf(`stream-${place % 7}`);
    const done = new Set<string>();
    let consumers: FakeConsumer[] = [];
    const answer = (consumer: FakeConsumer): void => {
      const id = [...consumer.held.keys()][Math.floor(chance() * consumer.held.size)];
      if (id === undefined) return;
      consumer.held.delete(id);
      const action = pick(['ack', 'ack', 'ack', 'ack', 'retry', 'park', 'skip'] as const);
      if (action === 'ack') world.group.acknowledge([id]);
      else world.group.reject([id], action, '');
      if (action === 'ack' || action === 'skip') done.add(id);
    };
    for (let step = 0; step < 1500; step += 1) {
      const dice = chance();
      if (dice < 0.03 && consumers.length < 4) consumers.push(world.connect(`c${step}`, 1 + Math.floor(chance() * 5)));
      else if (dice < 0.05 && consumers.length > 0) world.group.disconnect(consumers.splice(0, 1)[0] as FakeConsumer);
      else if (dice < 0.06) world.tick();
      else if (dice < 0.065) {
        const before = world.checkpoint;
        expect(settledUpTo(done, world)).toBeGreaterThanOrEqual(before);
        world.open();
        consumers = [];
      } else if (consumers.length > 0) answer(pick(consumers));
      world.run();
      const { buffered, retries, inFlight } = world.group.counts;
      // One comparison a step: a thousand expectations are slow.
      const held = consumers.reduce((sum, consumer) => sum + consumer.held.size, 0);
      const isBounded = buffered <= 20 && retries <= 20 + 20 && consumers.every((one) => one.held.size <= one.bufferSize);
      if (inFlight !== held || !isBounded) throw new Error(`step ${step}: ${JSON.stringify(world.group.counts)}, held ${held}`);
    }
    const last = world.connect('last', 1000);
    for (const consumer of consumers) world.group.disconnect(consumer);
    for (let round = 0; round < 40; round += 1) {
      world.run();
      for (const id of last.held.keys()) done.add(id);
      world.group.acknowledge([...last.held.keys()]);
      last.held.clear();
    }
    expect(settledUpTo(done, world)).toBe(199);
    expect(199 - world.checkpoint).toBeLessThanOrEqual(maxCheckpointCount);
  });

  /** The last place up to which each message was acknowledged, skipped or parked at least once. */
  function settledUpTo(done: ReadonlySet<string>, world: GroupWorld): number {
    const parked = new Set(world.parked.map(({ id }) => id));
    let place = -1;
    while (done.has(String(place + 1)) || parked.has(String(place + 1))) place += 1;
    return place;
  }
});
