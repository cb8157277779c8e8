import { fold } from '@perdure/kernel';
import {
  runAddress,
  workerMessage,
  type Claim,
  type Executor,
  type Heartbeat,
  type RunEvent,
  type WorkerMessage,
} from '@perdure/run-contract';
import { evolve, noRun, type RunState } from '@perdure/run-domain';
import { assigned, fact, intendedEffect, LoopbackBus, ManualHost, requested, START_MS } from '@perdure/testing';
import { PooledEffects } from './pooled-effects';
import { DEAD_AFTER_MS, WorkerRegistry } from './worker-registry';

const address = runAddress('acme', 'run1');
const executor: Executor = { pool: 'payments', workerId: 'teller-1', sessionId: 'session-1', buildId: 'b1' };
const of = { call: '1', attempt: 1, executionId: 'x1' };
const intended = [requested(), assigned(), intendedEffect('1', { pool: 'payments' })];
const dispatched = fact('EffectDispatched', {
  ...of,
  ...{ startByMs: START_MS, overByMs: START_MS, hasProbe: false, effectClass: 'idempotent', executor },
});

class World {
  readonly host = new ManualHost({ nowMs: START_MS });
  readonly bus = new LoopbackBus(this.host);
  readonly sent: WorkerMessage[] = [];
  readonly lost: string[] = [];
  readonly registry = new WorkerRegistry(this, {
    onDeath: (session) => this.effects.onDeath(session),
    onCapacity: (beat) => this.effects.onCapacity(beat),
  });
  state: RunState = noRun;
  readonly effects = new PooledEffects(
    { ...{ bus: this.bus, host: this.host }, workers: () => this.registry },
    { onLost: (_, { executionId }) => void this.lost.push(executionId), current: () => this.state },
  );

  constructor() {
    this.registry.start();
  }

  async worker(answer: Claim['claim'], more: Partial<Heartbeat> = {}): Promise<void> {
    const { workerId = 'teller-1' } = more;
    this.bus.subscribe(`perdure.work.payments.acme.${workerId}`, (message) => {
      this.sent.push(workerMessage.parse(JSON.parse(message.payload)));
      message.respond(JSON.stringify({ claim: answer }));
    });
    await this.beat(more);
  }

  async beat(more: Partial<Heartbeat> = {}): Promise<void> {
    const beat: Heartbeat = {
      ...{ v: 1, tenant: 'acme', pool: 'payments', workerId: 'teller-1', sessionId: 'session-1', buildId: 'b1', hosts: [] },
      ...{ slots: 1, freeSlots: 0, activations: [], loopLagMs: 0, draining: false, leaving: false },
      ...{ tools: ['pay'], freeToolSlots: 2, executions: [] },
      ...more,
    };
    this.bus.publish(`perdure.svc.worker.acme.payments.${beat.workerId}`, JSON.stringify(beat));
    await this.host.settle();
  }

  async keep(...facts: readonly RunEvent[]): Promise<void> {
    this.state = fold({ evolve }, noRun, facts);
    this.effects.keep(address, this.state);
    await this.host.settle();
  }
}

describe('an effect that is due at another pool', () => {
  it('is offered once to a live worker that executes it, with its arguments as canonical text', async () => {
    const world = new World();
    await world.worker('accepted');
    await world.keep(...intended);
    await world.keep(...intended);
    const [{ ticket }] = world.sent as unknown as readonly [{ readonly ticket: string }];
    expect(world.sent).toEqual([
      {
        ticket,
        ...{ type: 'offer', v: 1, tenant: 'acme', runId: 'run1', sessionId: 'session-1', do: 'run' },
        ...{ call: '1', tool: 'pay', attempt: 1, argsText: '{"amount":5}' },
      },
    ]);
  });

  it('is known to be offered by its ticket alone, which another session cannot show', async () => {
    const world = new World();
    await world.worker('accepted');
    await world.keep(...intended);
    const [{ ticket }] = world.sent as unknown as readonly [{ readonly ticket: string }];
    const was = (sessionId: string, shown: string): boolean => world.effects.wasOffered(address, { sessionId, ticket: shown });
    expect([was('session-1', ticket), was('session-2', ticket), was('session-1', 'guessed')]).toEqual([true, false, false]);
  });

  it('waits while no worker of the pool executes it or has room, and is offered by the heartbeat that says otherwise', async () => {
    const world = new World();
    await world.worker('accepted', { freeToolSlots: 0 });
    await world.worker('accepted', { workerId: 'teller-2', sessionId: 'session-2', tools: ['other'] });
    await world.keep(...intended);
    expect(world.sent).toEqual([]);
    await world.beat();
    expect(world.sent).toHaveLength(1);
  });

  it('is offered again when its worker is full after all, or did not claim it', async () => {
    const full = new World();
    await full.worker('refused');
    await full.keep(...intended);
    await full.beat();
    expect(full.sent).toHaveLength(2);
    const silent = new World();
    await silent.worker('accepted');
    await silent.keep(...intended);
    await silent.host.advance(2_900);
    await silent.beat();
    await silent.keep(...intended);
    expect(silent.sent).toHaveLength(1);
    await silent.host.advance(200);
    await silent.keep(...intended);
    expect(silent.sent).toHaveLength(2);
  });

  it('is not offered to a worker that is going away', async () => {
    const world = new World();
    await world.worker('accepted', { draining: true });
    await world.keep(...intended);
    expect(world.sent).toEqual([]);
  });
});

describe('an effect that is under way at another pool', () => {
  it('is lost with its worker: at once when that is known, and by the look at it', async () => {
    const world = new World();
    await world.worker('accepted');
    await world.keep(...intended, dispatched);
    expect(world.lost).toEqual([]);
    await world.beat({ leaving: true });
    expect(world.lost).toEqual(['x1']);
    await world.host.advance(DEAD_AFTER_MS + 1);
    await world.keep(...intended, dispatched);
    expect(world.lost).toEqual(['x1', 'x1']);
  });

  it('is lost when a live worker has had time to name it in its heartbeats, and does not', async () => {
    const world = new World();
    await world.worker('accepted');
    const look = async (executions: readonly string[]): Promise<void> => {
      for (let beats = 0; beats < 4; beats += 1) {
        await world.host.advance(1_000);
        await world.beat({ executions: [...executions] });
        await world.keep(...intended, dispatched);
      }
    };
    await look(['x1']);
    expect(world.lost).toEqual([]);
    await look([]);
    expect(new Set(world.lost)).toEqual(new Set(['x1']));
  });

  it('is told to stop when its run is cancelled, and when it has ended', async () => {
    const world = new World();
    await world.worker('accepted');
    const cancel = fact('RunCancelRequested', { reason: 'r', commandId: 'c', requestedAtMs: START_MS });
    await world.keep(...intended, dispatched, cancel);
    const stop = { type: 'stop', v: 1, tenant: 'acme', runId: 'run1', call: '1', executionId: 'x1' };
    expect(world.sent).toEqual([stop]);
    world.effects.onEnded(address, world.state);
    expect(world.sent).toEqual([stop, stop]);
  });
});
