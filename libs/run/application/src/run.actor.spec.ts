import { StoreUnavailable } from '@perdure/kernel';
import type { ProgressEntry } from '@perdure/run-contract';
import type { DomainCommand } from '@perdure/run-domain';
import { commandIdAt, knownCode, START_MS, workflowManifest } from '@perdure/testing';
import { CANCEL, RELEASE, report, REQUEST, step, stream, World } from './run.actor.world';

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

describe('a run that is not held', () => {
  it('is read once, however many ask for it at once', async () => {
    const world = new World();
    await world.send(world.actor(), REQUEST);
    let reads = 0;
    const store = Object.create(world.store) as typeof world.store;
    store.read = async (...asked) => {
      if (asked[0] === stream) reads += 1;
      return world.store.read(...asked);
    };
    const actor = world.actor(store);
    const states = await Promise.all(Array.from({ length: 20 }, () => actor.settled()));
    expect([reads, new Set(states).size]).toEqual([1, 1]);
  });
});
