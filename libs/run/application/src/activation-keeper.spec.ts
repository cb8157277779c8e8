import { fold, MESSAGE_BYTES_MAX } from '@perdure/kernel';
import { runAddress, workerMessage, type Claim, type RunEvent, type WorkerMessage } from '@perdure/run-contract';
import { evolve, noRun } from '@perdure/run-domain';
import { assigned, fact, intendedEffect, LoopbackBus, ManualHost, requested, START_MS } from '@perdure/testing';
import { ActivationKeeper, isActive, type ActiveRun } from './activation-keeper';

const address = runAddress('acme', 'run1');
const WORK = 'perdure.work.default.acme.worker-1';
const step = fact('StepsRecorded', { entries: [{ type: 'value', call: '1', name: 'now', value: 1 }] });

function active(...facts: readonly RunEvent[]): ActiveRun {
  const state = fold({ evolve }, noRun, [requested(), assigned(), ...facts]);
  if (!isActive(state)) throw new Error('not active');
  return state;
}

class World {
  readonly host = new ManualHost({ nowMs: START_MS });
  readonly bus = new LoopbackBus(this.host);
  readonly sent: WorkerMessage[] = [];
  readonly unclaimed: string[] = [];
  run: ActiveRun | undefined = active();
  readonly keeper = new ActivationKeeper(this, {
    onUnclaimed: (_, epoch, reason) => this.unclaimed.push(`${epoch} ${reason}`),
    current: (_, epoch) => (this.run?.epoch === epoch ? this.run : undefined),
  });

  /** A worker that answers as told; the last answer goes for all that follows. `silent` = never. */
  worker(...answers: readonly (Claim['claim'] | 'silent' | 'nonsense')[]): void {
    const left = [...answers];
    this.bus.subscribe(WORK, (message) => {
      this.sent.push(workerMessage.parse(JSON.parse(message.payload)));
      const next = left.length > 1 ? left.shift() : left[0];
      if (next === 'nonsense') message.respond('{');
      else if (next !== 'silent') message.respond(JSON.stringify({ claim: next }));
    });
  }

  keep(news = true): void {
    if (this.run !== undefined) this.keeper.keep(address, this.run, news);
  }
}

describe('an activation', () => {
  it('is pushed once to a worker that claims it', async () => {
    const world = new World();
    world.worker('accepted');
    world.keep();
    await world.host.advance(10_000);
    expect(world.sent).toMatchObject([
      { type: 'activate', runId: 'run1', epoch: 1, sessionId: 'session-1', input: { n: 1 }, journal: [], inbound: [] },
    ]);
    expect(world.unclaimed).toEqual([]);
    expect(world.host.timersPending).toBe(0);
  });

  it('is pushed again until the worker hears it', async () => {
    const world = new World();
    world.keep();
    await world.host.advance(600);
    world.worker('accepted');
    await world.host.advance(1_000);
    expect(world.sent).toHaveLength(1);
    expect(world.unclaimed).toEqual([]);
  });

  it.each([
    ['nobody listens', []],
    ['the worker is silent', ['silent']],
    ['the worker talks nonsense', ['nonsense']],
    ['the worker asks for the journal for ever', ['cold']],
  ] as const)('is given up within bounds when %s', async (_, answers) => {
    const world = new World();
    if (answers.length > 0) world.worker(...answers);
    world.keep();
    await world.host.advance(999);
    expect(world.unclaimed).toEqual([]);
    await world.host.advance(300);
    expect(world.unclaimed[0]).toBe('1 not-claimed');
    expect(world.sent.length).toBeLessThan(10);
  });

  it.each(['refused', 'unknown'] as const)('is given up at once when the worker says: %s', async (claim) => {
    const world = new World();
    world.worker(claim);
    world.keep();
    await world.host.settle();
    expect(world.unclaimed).toEqual(['1 refused']);
  });

  it('is given up again when that was not carried out', async () => {
    const world = new World();
    world.worker('refused');
    world.keep();
    await world.host.advance(600);
    expect(world.unclaimed.length).toBeGreaterThan(1);
    world.keeper.release(address);
    const before = world.unclaimed.length;
    await world.host.advance(5_000);
    expect(world.unclaimed).toHaveLength(before);
  });

  it('ends with its epoch: nothing more is pushed', async () => {
    const world = new World();
    world.keep();
    await world.host.advance(300);
    world.run = undefined;
    world.worker('accepted');
    await world.host.advance(5_000);
    expect(world.sent).toEqual([]);
    expect(world.unclaimed).toEqual([]);
  });

  it('of a new epoch takes the place of the old one', async () => {
    const world = new World();
    world.keep();
    await world.host.advance(300);
    world.run = active(fact('ActivationLost', { epoch: 1, reason: 'worker-lost' }), assigned(2));
    world.worker('accepted');
    world.keep();
    await world.host.advance(5_000);
    expect(world.sent).toMatchObject([{ type: 'activate', epoch: 2 }]);
    expect(world.keeper.size).toBe(1);
  });
});

describe('an activation that does not fit into a message', () => {
  const large = (call: string) => ({
    ...intendedEffect(call),
    data: { ...intendedEffect(call).data, args: 'x'.repeat(900_000) },
  });
  const calls = Array.from({ length: 12 }, (_, at) => `${at}`);

  it('is pushed in several, and is claimed with the first', async () => {
    const world = new World();
    world.run = active(...calls.map(large));
    world.worker('accepted', 'silent', 'accepted');
    world.keep();
    await world.host.advance(20_000);
    const told = (message: WorkerMessage) => ('instructions' in message ? message.instructions.map(({ call }) => call) : []);
    expect(world.unclaimed).toEqual([]);
    // What was not heard is told again, from the beginning.
    const heardFrom = world.sent.slice(2).flatMap(told);
    expect(heardFrom).toEqual(calls);
    expect(world.sent.map(({ type }) => type)).toEqual(['activate', ...Array<string>(world.sent.length - 1).fill('inbound')]);
  });

  it('and cannot be cut, is given up as such', async () => {
    const world = new World();
    const run = active();
    world.run = { ...run, request: { ...run.request, input: 'x'.repeat(MESSAGE_BYTES_MAX) } };
    world.worker('accepted');
    world.keep();
    await world.host.settle();
    expect(world.sent).toEqual([]);
    expect(world.unclaimed).toEqual(['1 unsendable']);
  });
});

describe('a worker that has claimed', () => {
  it('is told of news, and not of what it reported itself', async () => {
    const world = new World();
    world.worker('accepted');
    world.keep();
    await world.host.settle();
    world.run = active(step);
    world.keep(false);
    await world.host.settle();
    expect(world.sent).toHaveLength(1);
    world.run = active(step, intendedEffect('2'));
    world.keep();
    await world.host.settle();
    expect(world.sent[1]).toMatchObject({ type: 'inbound', epoch: 1, instructions: [{ do: 'run-tool', call: '2' }] });
  });

  it('is told of news that came while it was being told', async () => {
    const world = new World();
    world.worker('accepted');
    world.keep();
    world.run = active(intendedEffect('2'));
    world.keep();
    await world.host.settle();
    await world.host.settle();
    expect(world.sent.at(-1)).toMatchObject({ type: 'inbound', instructions: [{ call: '2' }] });
  });

  it('is told again until it hears it, as long as it holds the run', async () => {
    const world = new World();
    world.worker('accepted', 'silent', 'silent', 'accepted');
    world.keep();
    await world.host.settle();
    world.keep();
    await world.host.advance(10_000);
    expect(world.sent.map(({ type }) => type)).toEqual(['activate', 'inbound', 'inbound', 'inbound']);
    expect(world.unclaimed).toEqual([]);
  });
});

describe('a warm worker', () => {
  it('gets no journal when the run comes back to it, unless it asks', async () => {
    const world = new World();
    const run = active(step);
    world.run = run;
    world.keeper.releaseWarm(address, run);
    world.worker('cold', 'accepted');
    world.keep();
    await world.host.advance(10);
    expect(world.sent.map((message) => message.type === 'activate' && message.journal?.length)).toEqual([undefined, 1]);
  });

  it('is only the session that held it', async () => {
    const world = new World();
    const run = active();
    world.keeper.releaseWarm(address, { ...run, activation: { ...run.activation, sessionId: 'session-0' } });
    world.worker('accepted');
    world.keep();
    await world.host.settle();
    expect(world.sent).toMatchObject([{ journal: [] }]);
  });

  it('that holds another branch of the run gets its journal', async () => {
    const world = new World();
    const run = active();
    world.keeper.releaseWarm(address, run);
    world.run = { ...run, branch: 1 };
    world.worker('accepted');
    world.keep();
    await world.host.settle();
    expect(world.sent).toMatchObject([{ branch: 1, journal: [] }]);
  });
});
