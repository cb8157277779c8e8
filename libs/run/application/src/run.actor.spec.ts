import { StoreUnavailable, type OutgoingFact } from '@perdure/kernel';
import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { runAddress, runStream, SEGMENT_ITEMS, type ProgressEntry } from '@perdure/run-contract';
import { journalLength, runDecider, tailItems, type DomainCommand, type RunState } from '@perdure/run-domain';
import { commandIdAt, knownCode, ManualHost, START_MS, UnsureStore, workflowManifest } from '@perdure/testing';
import { RunActor, type AppendedFacts, type Judged } from './run.actor';
import { RunCodec } from './run.codec';
import { RunLog } from './run.log';
import { Snapshots } from './snapshots';

const address = runAddress('acme', 'run1');
const stream = runStream.build(address);
const decider = runDecider((value) => JSON.stringify(value));

/** A log that outlives the owners of one run. */
class World {
  readonly host = new ManualHost({ nowMs: START_MS });
  readonly log = new MemoryLog(this.host.clock);
  readonly blobs = new MemoryBlobStore();
  readonly store = new UnsureStore(new MemoryEventStore(this.log));
  readonly published: OutgoingFact[] = [];
  readonly appended: AppendedFacts[] = [];
  readonly happened: string[] = [];

  actor(store = this.store): RunActor {
    const codec = new RunCodec({ blobs: this.blobs, host: this.host });
    const snapshots = new Snapshots({ store, blobs: this.blobs, host: this.host });
    return new RunActor(address, {
      host: this.host,
      codec,
      snapshots,
      log: new RunLog({ store, host: this.host }, codec, snapshots),
      decide: (given, state) => decider.decide(given, state),
      publisher: {
        begin: () => ({ beyond: 'start' }),
        abandon: () => void this.happened.push('abandoned'),
        heard: () => undefined,
        publish: (_, facts) => {
          this.happened.push('published');
          this.published.push(...facts);
        },
      },
      onAppended: (appended) => this.appended.push(appended),
    });
  }

  async types(): Promise<string[]> {
    const events = await this.store.read(stream, { direction: 'forward', from: 'start', limit: 10_000 });
    return events.map(({ type }) => type);
  }

  async fullFold(): Promise<RunState> {
    const codec = new RunCodec({ blobs: this.blobs, host: this.host });
    let state: RunState = decider.initial;
    for (const event of await this.store.read(stream, { direction: 'forward', from: 'start', limit: 100_000 })) {
      state = decider.evolve(state, await codec.decode(address, event));
    }
    return state;
  }

  readonly waiting: Promise<Judged>[] = [];
  private sent = 0;

  send(actor: RunActor, command: DomainCommand): Promise<Judged> {
    this.sent += 1;
    const at = { nowMs: START_MS, commandId: commandIdAt(START_MS, this.sent), fraction: 0.5 };
    const judged = actor.submit({
      given: { command, at, code: knownCode(workflowManifest()) },
      provenance: { commandId: at.commandId, actor: 'user:ann', traceparent: undefined },
    });
    judged.then(
      () => this.happened.push('answered'),
      () => this.happened.push('failed'),
    );
    return judged;
  }
}

const REQUEST: DomainCommand = {
  type: 'RequestRun',
  kind: 'workflow',
  name: 'invoice',
  pool: 'default',
  input: 1,
  requestHash: 'h',
  deadlineMs: undefined,
};
const RELEASE: DomainCommand = {
  type: 'ReleaseRun',
  permitId: 'p',
  term: 1,
  workerId: 'w',
  sessionId: 's',
  buildId: 'b',
  notAfterMs: START_MS + 1,
};
const CANCEL: DomainCommand = { type: 'CancelRun', reason: 'no' };
const step = (call: string): ProgressEntry => ({ type: 'step', call, name: 's', outcome: { ok: true, value: call } });
const report = (seq: number, ...entries: readonly ProgressEntry[]): DomainCommand => ({
  type: 'RecordProgress',
  epoch: 1,
  seq,
  entries: [...entries],
});

describe('an append whose answer is lost', () => {
  it('is sent again, byte for byte, and stands in the log once', async () => {
    const world = new World();
    world.store.fates.push('answer-lost', 'answer-lost', 'lost');
    const judged = world.send(world.actor(), REQUEST);
    await world.host.advance(5_000);
    expect(await judged).toMatchObject({ accepted: true });
    expect(await world.types()).toEqual(['RunRequested']);
    expect(world.store.asked).toHaveLength(4);
    expect(new Set(world.store.asked.map(({ text, expected }) => `${String(expected)} ${text}`)).size).toBe(1);
  });

  it('takes nothing in that came meanwhile: it is decided once, and not grouped anew', async () => {
    const world = new World();
    const actor = world.actor();
    world.store.fates.push('answer-lost');
    const first = world.send(actor, REQUEST);
    await world.host.settle();
    const second = world.send(actor, RELEASE);
    await world.host.advance(1_000);
    expect([await first, await second]).toMatchObject([{ accepted: true }, { accepted: true }]);
    expect(await world.types()).toEqual(['RunRequested', 'RunAssigned']);
    expect(world.store.asked.map(({ expected }) => expected)).toEqual(['no-stream', 'no-stream', 0]);
  });

  it('is not answered, published or acted upon before there is an answer', async () => {
    const world = new World();
    world.store.fates.push('answer-lost');
    const judged = world.send(world.actor(), REQUEST);
    await world.host.settle();
    expect(await world.types()).toEqual(['RunRequested']);
    expect({ happened: world.happened, appended: world.appended }).toEqual({ happened: [], appended: [] });
    await world.host.advance(1_000);
    await judged;
    expect(world.happened).toEqual(['published', 'answered']);
    expect(world.published.map(({ subject }) => subject)).toEqual(['perdure.evt.acme.run.run-requested.run1']);
  });
});

describe('several commands', () => {
  it('that wait share one append, in their order', async () => {
    const world = new World();
    const actor = world.actor();
    const judged = await Promise.all(
      [REQUEST, RELEASE, report(1, step('1')), report(2, step('2'))].map((command) => world.send(actor, command)),
    );
    expect(judged.every(({ accepted }) => accepted)).toBe(true);
    expect(world.store.asked).toHaveLength(1);
    expect(await world.types()).toEqual(['RunRequested', 'RunAssigned', 'StepsRecorded', 'StepsRecorded']);
  });

  it('are each judged by what the ones before them led to, and refusals wait for the append too', async () => {
    const world = new World();
    const actor = world.actor();
    let arrives = (): void => undefined;
    world.store.fates.push(new Promise<void>((resolve) => (arrives = resolve)));
    const first = world.send(actor, REQUEST);
    const refused = world.send(actor, { ...REQUEST, requestHash: 'other' } as DomainCommand);
    await world.host.settle();
    expect(world.happened).toEqual([]);
    arrives();
    expect([await first, await refused]).toMatchObject([
      { accepted: true },
      { accepted: false, rejection: { code: 'RunAlreadyExists' } },
    ]);
  });

  it('repeated in one batch have one effect and one answer', async () => {
    const world = new World();
    const actor = world.actor();
    const [first, second] = await Promise.all([world.send(actor, REQUEST), world.send(actor, REQUEST)]);
    expect(second).toEqual(first);
    expect(await world.types()).toEqual(['RunRequested']);
  });

  it('stay within what the store takes in one append', async () => {
    const world = new World();
    const actor = world.actor();
    await Promise.all([world.send(actor, REQUEST), world.send(actor, RELEASE)]);
    const large = (n: number): ProgressEntry => ({ type: 'value', call: `${n}`, name: 'v', value: '語'.repeat(60_000) });
    const judged = await Promise.all(Array.from({ length: 30 }, (_, n) => world.send(actor, report(n + 1, large(n)))));
    expect(judged.every(({ accepted }) => accepted)).toBe(true);
  });

  it('suffer nothing from one among them that cannot be judged', async () => {
    const world = new World();
    const actor = world.actor();
    const broken = { type: 'RecordProgress', epoch: 1, seq: 1 } as unknown as DomainCommand;
    const [, , bad, good] = await Promise.all(
      [REQUEST, RELEASE, broken, report(1, step('1'))].map((command) => world.send(actor, command)),
    );
    expect([bad, good]).toMatchObject([{ accepted: false }, { accepted: true }]);
  });
});

describe('an owner that has been overtaken', () => {
  it('drops what it holds and judges anew by what the log says', async () => {
    const world = new World();
    const [before, after] = [world.actor(), world.actor()];
    await world.send(before, REQUEST);
    await world.send(after, RELEASE);
    const judged = await world.send(before, CANCEL);
    expect(judged).toMatchObject({ accepted: true, state: { status: 'active', cancel: { reason: 'no' } } });
    expect(await world.types()).toEqual(['RunRequested', 'RunAssigned', 'RunCancelRequested']);
    expect(world.happened).toContain('abandoned');
  });

  it('appends no report of an epoch that another has ended', async () => {
    const world = new World();
    const [before, after] = [world.actor(), world.actor()];
    await Promise.all([world.send(before, REQUEST), world.send(before, RELEASE)]);
    await world.send(after, { type: 'LoseActivation', epoch: 1, reason: 'worker-lost' });
    const answer = await world.send(before, report(1, step('1'))).catch((error: unknown) => error);
    if (answer instanceof StoreUnavailable)
      expect(await world.send(before, report(1, step('1')))).toMatchObject({ rejection: { code: 'StaleEpoch' } });
    else expect(answer).toMatchObject({ rejection: { code: 'StaleEpoch' } });
    expect(await world.types()).toEqual(['RunRequested', 'RunAssigned', 'ActivationLost']);
  });

  it('gives up against an owner that is always faster: the caller shall ask again', async () => {
    const world = new World();
    const [before, after] = [world.actor(), world.actor()];
    await world.send(before, REQUEST);
    await world.send(after, { ...REQUEST } as DomainCommand);
    // Each append of the slow owner is overtaken while it is under way.
    const overtake = async (command: DomainCommand): Promise<void> => void (await world.send(after, command));
    const commands: DomainCommand[] = [
      RELEASE,
      { type: 'LoseActivation', epoch: 1, reason: 'refused' },
      { type: 'PlaceRun', workerId: 'w', sessionId: 's', buildId: 'b' },
      { type: 'LoseActivation', epoch: 2, reason: 'refused' },
    ];
    let arrives: (() => void)[] = [];
    const judged = (() => {
      world.store.fates.push(new Promise<void>((resolve) => arrives.push(resolve)));
      return world.send(before, CANCEL).catch((error: unknown) => error);
    })();
    for (const command of commands) {
      await world.host.settle();
      await overtake(command);
      const [arrive] = arrives;
      arrives = [];
      world.store.fates.push(new Promise<void>((resolve) => arrives.push(resolve)));
      arrive?.();
      await world.host.settle();
    }
    expect(await judged).toBeInstanceOf(StoreUnavailable);
  });
});

describe('reading', () => {
  it('waits for a store that is away', async () => {
    const world = new World();
    await world.send(world.actor(), REQUEST);
    world.store.readsToFail = 3;
    const state = world.actor().settled();
    await world.host.advance(5_000);
    expect(await state).toEqual(await world.fullFold());
  });

  it('of a run that does not exist says so', async () => {
    expect(await new World().actor().settled()).toMatchObject({ status: 'none' });
  });
});

describe('a long run', () => {
  /** Two thousand results in reports of fifty, and a sleep that is under way. */
  async function longRun(world: World, actor: RunActor, reports = 40): Promise<void> {
    await Promise.all([
      world.send(actor, REQUEST),
      world.send(actor, RELEASE),
      world.send(actor, report(1, { type: 'timer-set', call: 'zz', delayMs: 5 })),
    ]);
    for (let n = 0; n < reports; n += 1) {
      // A barrier after each step, so that each is a fact of its own.
      const entries = Array.from({ length: 25 }, (_, i): ProgressEntry[] => [
        step(`${n}.${i}`),
        { type: 'timer-set', call: `${n}.${i}.t`, delayMs: 1 },
        { type: 'timer-cancelled', call: `${n}.${i}.t` },
      ]);
      expect(await world.send(actor, report(n + 2, ...entries.flat()))).toMatchObject({ accepted: true });
    }
  }

  it('is read from its newest snapshot and the facts after it, and is the same as folded from the start', async () => {
    const world = new World();
    await longRun(world, world.actor());
    const snapshot = await world.store.read('snapshot-acme.run1', { direction: 'backward', from: 'end', limit: 10 });
    expect(snapshot).toHaveLength(1);
    const state = await world.actor().settled();
    const full = await world.fullFold();
    expect({ ...state, journal: undefined }).toEqual({ ...full, journal: undefined });
    expect(state).toMatchObject({ journal: { segments: [{ items: 1_000 }] } });
  });

  it('has a snapshot that does not grow with it, but for a reference to each segment', async () => {
    const [short, long] = [await snapshotAfter(40), await snapshotAfter(160)];
    expect(long.segments.length).toBeGreaterThan(short.segments.length);
    for (const { tail } of [short, long]) expect(tail.length).toBeLessThan(SEGMENT_ITEMS);
    // The same but for the digits of its counters.
    expect(JSON.stringify(long.rest).length - JSON.stringify(short.rest).length).toBeLessThan(20);
  });

  async function snapshotAfter(reports: number) {
    const world = new World();
    await longRun(world, world.actor(), reports);
    const [newest] = await world.store.read('snapshot-acme.run1', { direction: 'backward', from: 'end', limit: 1 });
    const text = await world.blobs.get('acme', (newest?.data as { readonly blob: string }).blob);
    const { tail, segments, ...rest } = JSON.parse(text ?? '{}') as Record<'tail' | 'segments', readonly unknown[]>;
    return { tail, segments, rest };
  }

  it('gives its sealed segments and its tail as the whole journal, in order', async () => {
    const world = new World();
    const actor = world.actor();
    await longRun(world, actor);
    const [state, full] = [await world.actor().settled(), await world.fullFold()];
    if (state.status !== 'active' || full.status !== 'active') throw new Error('the run is active');
    const snapshots = new Snapshots({ store: world.store, blobs: world.blobs, host: world.host });
    const segments = await Promise.all(state.journal.segments.map((_, index) => snapshots.segment(address, state, index)));
    expect([...segments.flatMap((items) => items ?? []), ...tailItems(state.journal)]).toEqual(tailItems(full.journal));
    expect(journalLength(state.journal)).toBe(journalLength(full.journal));
    expect(await snapshots.segment(address, state, state.journal.segments.length)).toBeUndefined();
  });

  it('goes on the same whether its owner held it or read it', async () => {
    const world = new World();
    const actor = world.actor();
    await longRun(world, actor, 25);
    const next = report(27, { type: 'completed', output: 'done' });
    expect(await world.send(world.actor(), next)).toMatchObject({ accepted: true, state: { status: 'ended' } });
    expect(await world.fullFold()).toMatchObject({ status: 'ended', lastSeq: 27 });
  });

  it('loses nothing with its snapshots', async () => {
    const world = new World();
    await longRun(world, world.actor(), 25);
    const before = await world.fullFold();
    for (const data of [
      { foldVersion: 99 },
      { foldVersion: 1 },
      { nonsense: true },
      { foldVersion: 2, revision: 3, blob: 'f'.repeat(64) },
    ]) {
      await world.store.append('snapshot-acme.run1', 'any', [
        { id: world.host.entropy.uuid(), type: 'RunSnapshotTaken', data, metadata: {} },
      ]);
      expect(await world.actor().settled()).toEqual(before);
    }
  });
});

describe('what was looked up for a command', () => {
  it('is judged with only while the run is as it was then', async () => {
    const world = new World();
    const actor = world.actor();
    await world.send(actor, REQUEST);
    await world.send(actor, RELEASE);
    const at = { nowMs: START_MS, commandId: commandIdAt(START_MS, 99), fraction: 0.5 };
    const given = { command: report(1, step('1')), at, code: knownCode(workflowManifest()) };
    const provenance = { commandId: at.commandId, actor: 'worker:w', traceparent: undefined };
    // Looked up before the run was assigned.
    await expect(actor.submit({ given, provenance, codeStamp: 0 })).rejects.toThrow(StoreUnavailable);
    expect(await world.types()).toEqual(['RunRequested', 'RunAssigned']);
    expect(await actor.submit({ given, provenance, codeStamp: 1 })).toMatchObject({ accepted: true });
  });
});
