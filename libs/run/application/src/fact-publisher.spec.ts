import { BusUnavailable, partitionOf, type FactBus, type OutgoingFact, type Position, type RecordedEvent } from '@perdure/kernel';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { PUBLISHED_STREAM, publishedFact, runAddress, runStream } from '@perdure/run-contract';
import { ManualHost } from '@perdure/testing';
import { FactPublisher, outgoingFact } from './fact-publisher';

const ann = runAddress('acme', 'ann');
const bob = runAddress('acme', 'bob');
const ANN = partitionOf(ann.runId);
const BOB = partitionOf(bob.runId);

/** A broker that may be away: what was published without being confirmed by then is lost. */
class FlakyFacts implements FactBus {
  readonly stored: OutgoingFact[] = [];
  private underWay: OutgoingFact[] = [];
  private hasLost = false;
  away = false;
  /** Holds back confirmations until it resolves. */
  slow: Promise<void> | undefined;
  publishedWhileAway = 0;

  publish(facts: readonly OutgoingFact[]): void {
    if (!this.away) return void this.underWay.push(...facts);
    this.publishedWhileAway += facts.length;
    this.hasLost = true;
  }

  async confirm(): Promise<void> {
    if (this.away || this.hasLost) {
      this.hasLost = this.away;
      throw new BusUnavailable('The broker is, or was, away.');
    }
    const facts = this.underWay;
    this.underWay = [];
    await this.slow;
    this.stored.push(...facts);
  }

  /** Power is cut: nothing unconfirmed survives. */
  lose(): void {
    this.underWay = [];
  }

  /** As consumers see them: each once. */
  get seen(): string[] {
    return [...new Set(this.stored.map(({ headers }) => `${headers['perdure-stream']}@${headers['perdure-revision']}`))];
  }
}

class World {
  readonly host = new ManualHost();
  readonly log = new MemoryLog(this.host.clock);
  readonly store = new MemoryEventStore(this.log);
  readonly facts = new FlakyFacts();
  owned = new Set([ANN, BOB]);

  publisher(): FactPublisher {
    const ownership = {
      owns: (partition: number) => this.owned.has(partition),
      onChange: () => ({ close: async () => undefined }),
    };
    return new FactPublisher({ store: this.store, facts: this.facts, host: this.host, ownership });
  }

  async append(address = ann): Promise<{ position: Position; fact: OutgoingFact }> {
    const stream = runStream.build(address);
    const event = { id: this.host.entropy.uuid(), type: 'RunSuspended', data: { epoch: 1 }, metadata: {} };
    const last = this.log.lastRevision(stream);
    const result = await this.store.append(stream, last < 0 ? 'no-stream' : last, [event]);
    if (result.outcome !== 'appended') throw new Error('not appended');
    return { position: result.position, fact: outgoingFact(address, { ...event, stream, revision: result.revision }) };
  }

  async publishOne(publisher: FactPublisher, address = ann): Promise<Position> {
    const ticket = publisher.begin();
    const { position, fact } = await this.append(address);
    publisher.publish(ticket, [fact], position);
    return position;
  }

  async marks(): Promise<{ position: Position; partitions: number[] }[]> {
    const events = await this.store.read(PUBLISHED_STREAM, { direction: 'forward', from: 'start', limit: 100 });
    return events.map(({ data }) => data as { position: Position; partitions: number[] });
  }
}

/** What is confirmed is written as a mark one period later. */
const UNTIL_MARKED_MS = 11_000;

async function running(world: World, partitions: readonly number[] = [ANN, BOB]): Promise<FactPublisher> {
  const publisher = world.publisher();
  await publisher.start();
  await publisher.takeOver(partitions);
  return publisher;
}

describe('the publisher of facts', () => {
  it('publishes in order, in the form that is documented', async () => {
    const world = new World();
    const publisher = await running(world);
    await world.publishOne(publisher);
    await world.publishOne(publisher);
    await world.host.advance(100);
    expect(world.facts.stored.map(({ subject }) => subject)).toEqual([
      'perdure.evt.acme.run.run-suspended.ann',
      'perdure.evt.acme.run.run-suspended.ann',
    ]);
    const payloads = world.facts.stored.map(({ payload }) => publishedFact.parse(JSON.parse(payload)));
    expect(payloads.map(({ revision, id }) => ({ revision, id }))).toEqual(
      world.facts.stored.map(({ messageId }, revision) => ({ revision, id: messageId })),
    );
  });

  it('moves its mark to what the broker has confirmed, for the partitions that it has covered', async () => {
    const world = new World();
    const publisher = await running(world);
    const position = await world.publishOne(publisher);
    await world.host.advance(UNTIL_MARKED_MS);
    expect(await world.marks()).toEqual([{ position, partitions: [ANN, BOB] }]);
  });

  it('writes no mark for what did not change', async () => {
    const world = new World();
    const publisher = await running(world);
    await world.publishOne(publisher);
    await world.host.advance(60_000);
    expect(await world.marks()).toHaveLength(1);
  });

  it('never lets its mark pass an append that is under way', async () => {
    const world = new World();
    const publisher = await running(world);
    const first = await world.publishOne(publisher);
    const slow = publisher.begin();
    // It is in the log, and nobody has been told so yet; then another run's fact goes all the way.
    const { position, fact } = await world.append(bob);
    await world.publishOne(publisher);
    await world.host.advance(UNTIL_MARKED_MS);
    expect(await world.marks()).toMatchObject([{ position: first }]);
    publisher.publish(slow, [fact], position);
    const last = await world.publishOne(publisher);
    await world.host.advance(UNTIL_MARKED_MS);
    expect((await world.marks()).at(-1)).toMatchObject({ position: last });
  });

  it('forgets an append that was given up', async () => {
    const world = new World();
    const publisher = await running(world);
    const ticket = publisher.begin();
    publisher.abandon(ticket);
    const position = await world.publishOne(publisher);
    await world.host.advance(UNTIL_MARKED_MS);
    expect(await world.marks()).toMatchObject([{ position }]);
  });

  it('never lets its mark pass a fact that is not confirmed', async () => {
    const world = new World();
    const publisher = await running(world);
    await world.publishOne(publisher);
    await world.host.advance(100);
    world.facts.slow = new Promise(() => undefined);
    await world.publishOne(publisher);
    await world.host.advance(UNTIL_MARKED_MS);
    await world.publishOne(publisher);
    await world.host.advance(UNTIL_MARKED_MS);
    expect(await world.marks()).toMatchObject([{ position: { commit: expect.any(String) as string } }]);
    expect(world.facts.stored).toHaveLength(1);
  });
});

describe('a broker that was away', () => {
  it('gets everything that it has not confirmed again', async () => {
    const world = new World();
    const publisher = await running(world);
    world.facts.away = true;
    await world.publishOne(publisher);
    await world.publishOne(publisher, bob);
    await world.host.advance(2_000);
    expect(await world.marks()).toEqual([]);
    world.facts.away = false;
    await world.host.advance(2_000);
    expect(world.facts.seen.sort()).toEqual(['run-acme.ann@0', 'run-acme.bob@0']);
  });

  it('is not flooded while it is away', async () => {
    const world = new World();
    const publisher = await running(world);
    world.facts.away = true;
    await world.publishOne(publisher);
    await world.host.advance(10_000);
    expect(world.facts.publishedWhileAway).toBeLessThan(30);
  });

  it('gets more than memory held, from the log, and the mark moves on', async () => {
    const world = new World();
    const publisher = await running(world);
    world.facts.away = true;
    const many = 21_000;
    for (let n = 0; n < many; n += 1) await world.publishOne(publisher);
    await world.host.advance(1_000);
    world.facts.away = false;
    world.facts.lose();
    await world.host.advance(20_000);
    expect(world.facts.seen).toHaveLength(many);
    const stored = world.facts.stored.length;
    const position = await world.publishOne(publisher);
    await world.host.advance(10_000);
    expect((await world.marks()).at(-1)).toMatchObject({ position });
    // It has come to rest: nothing goes round and round.
    expect(world.facts.stored.length).toBe(stored + 1);
    // Twenty thousand facts take their time on a busy machine.
  }, 60_000);
});

describe('who takes a partition over', () => {
  it('publishes what lies beyond the mark of the one before, and no more', async () => {
    const world = new World();
    const before = await running(world);
    await world.publishOne(before);
    await world.host.advance(UNTIL_MARKED_MS);
    await before.stop();
    world.facts.stored.length = 0;
    await world.append();
    await world.append(bob);
    await running(world);
    expect(world.facts.seen.sort()).toEqual(['run-acme.ann@1', 'run-acme.bob@0']);
  });

  it('publishes the facts of its own partitions only', async () => {
    const world = new World();
    await world.append();
    await world.append(bob);
    world.owned = new Set([BOB]);
    await running(world, [BOB]);
    expect(world.facts.seen).toEqual(['run-acme.bob@0']);
  });

  it('speaks for a partition only when the broker has confirmed what lay beyond its mark', async () => {
    const world = new World();
    world.owned = new Set([ANN]);
    const publisher = await running(world, [ANN]);
    await world.append(bob);
    await world.publishOne(publisher);
    await world.host.advance(100);
    // It gains the other partition while the broker is away.
    world.owned = new Set([ANN, BOB]);
    world.facts.away = true;
    const taken = publisher.takeOver([BOB]);
    await world.host.advance(20_000);
    expect((await world.marks()).filter(({ partitions }) => partitions.includes(BOB))).toEqual([]);
    world.facts.away = false;
    await world.host.advance(2_000);
    await taken;
    expect(world.facts.seen).toContain('run-acme.bob@0');
  });

  it('takes up again after a crash between append and publish', async () => {
    const world = new World();
    const crashed = await running(world);
    crashed.begin();
    await world.append();
    await world.host.advance(10_000);
    expect(world.facts.seen).toEqual([]);
    await running(world);
    expect(world.facts.seen).toEqual(['run-acme.ann@0']);
  });

  it('publishes what a former owner appended behind its back, once somebody reads it', async () => {
    const world = new World();
    const publisher = await running(world);
    await world.append();
    const [late] = await world.store.read(runStream.build(ann), { direction: 'forward', from: 'start', limit: 1 });
    publisher.heard(ann, late as RecordedEvent);
    await world.host.advance(100);
    expect(world.facts.stored.map(({ messageId }) => messageId)).toEqual([late?.id]);
  });

  it('publishes it also while the broker has not confirmed yet what lay beyond the mark', async () => {
    const world = new World();
    await world.append();
    const publisher = world.publisher();
    await publisher.start();
    world.facts.away = true;
    const taken = publisher.takeOver([ANN, BOB]);
    await world.host.advance(1_000);
    await world.append();
    const [late] = await world.store.read(runStream.build(ann), { direction: 'backward', from: 'end', limit: 1 });
    publisher.heard(ann, late as RecordedEvent);
    world.facts.away = false;
    await world.host.advance(5_000);
    await taken;
    expect(world.facts.seen.sort()).toEqual(['run-acme.ann@0', 'run-acme.ann@1']);
  });

  it('publishes nothing again that it has passed over', async () => {
    const world = new World();
    await world.append();
    const publisher = await running(world);
    const [early] = await world.store.read(runStream.build(ann), { direction: 'forward', from: 'start', limit: 1 });
    publisher.heard(ann, early as RecordedEvent);
    await world.host.advance(100);
    expect(world.facts.stored).toHaveLength(1);
  });

  it('leaves to others what it has lost again', async () => {
    const world = new World();
    const publisher = await running(world);
    publisher.release([BOB]);
    await world.publishOne(publisher);
    await world.host.advance(UNTIL_MARKED_MS);
    expect(await world.marks()).toMatchObject([{ partitions: [ANN] }]);
  });
});
