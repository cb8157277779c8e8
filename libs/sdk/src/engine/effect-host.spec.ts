import { Retryable, type Bus, type BusMessage } from '@perdure/kernel';
import type { OfferMessage } from '@perdure/run-contract';
import { z } from 'zod';
import { VirtualHost } from '../spec-kit/virtual-host';
import { tool, type ToolOptions } from '../tool';
import type { Tool, ToolScope } from './definitions';
import { EffectHost } from './effect-host';

/** A worker that executes for others, and the owner of the run as far as it is asked. */

interface Asked {
  readonly type: string;
  readonly executionId: string;
  readonly argsHash?: string;
  readonly entry?: { readonly type: string; readonly outcome?: { readonly ok: boolean; readonly value?: unknown } };
}

type Answer = (asked: Asked) => unknown;
const refused = (code: string, reaction: 'terminal' | 'retryable') => ({ ok: false, error: { code, message: code, reaction } });
const granted = ({ executionId }: Asked, startWithinMs = 5_000) => ({
  ok: true,
  value: { mayBegin: [{ call: '1', attempt: 1, executionId, startWithinMs }] },
});
const accepted = { ok: true, value: {} };
const ARGS = '{"amount":5}';
const offer: OfferMessage = {
  ...{ type: 'offer', v: 1, tenant: 'acme', runId: 'run1', sessionId: 's1', ticket: 't1' },
  ...{ do: 'run', call: '1', tool: 'pay', attempt: 1, argsText: ARGS },
};

class World {
  readonly host = new VirtualHost();
  readonly asked: Asked[] = [];
  readonly scopes: ToolScope[] = [];
  readonly effects: EffectHost;
  answerMs = 0;

  constructor(
    act: (scope: ToolScope) => unknown = () => 'paid',
    private readonly answer: Answer = (asked) => (asked.type === 'ClaimEffect' ? granted(asked) : accepted),
    more: Partial<Pick<ToolOptions<z.ZodType, unknown>, 'effect' | 'probe'>> = {},
  ) {
    const pay = tool({
      name: 'pay',
      description: '',
      pool: 'payments',
      input: z.object({ amount: z.number() }),
      timeoutMs: 1_000,
      effect: 'irreversible',
      ...(more as object),
      execute: (_, scope) => {
        this.scopes.push(scope);
        return act(scope);
      },
    }) as unknown as Tool;
    this.effects = new EffectHost({
      ...{ host: this.host, bus: this.bus(), tenant: 'acme', workerId: 'w1', sessionId: 's1', slots: 2 },
      tools: new Map([['pay', pay]]),
      grants: {
        signatures: { verify: () => false },
        signerKey: undefined,
        manifest: { buildId: 'b', behaviours: [], tools: [] },
        tenant: 'acme',
      },
      onChange: () => undefined,
    });
  }

  async done(): Promise<void> {
    await this.host.until(() => this.effects.freeSlots === 2);
  }

  ofType(type: string): readonly Asked[] {
    return this.asked.filter((asked) => asked.type === type);
  }

  private bus(): Bus {
    const request = async (_: string, payload: string): Promise<string> => {
      const { command } = JSON.parse(payload) as { command: Asked };
      this.asked.push(command);
      if (this.answerMs > 0) await this.host.passes(this.answerMs);
      return JSON.stringify(this.answer(command));
    };
    const nothing = { close: async () => undefined };
    return {
      request,
      publish: () => undefined,
      subscribe: (_: string, __: (message: BusMessage) => void) => nothing,
      onReconnect: () => nothing,
    } as unknown as Bus;
  }
}

describe('a worker that executes for others', () => {
  it('claims the hash of the bytes that it was given, executes when that is granted, and reports', async () => {
    const world = new World();
    expect(world.effects.take(offer)).toEqual({ claim: 'accepted' });
    await world.done();
    const [claim, report] = world.asked;
    expect(claim).toMatchObject({
      type: 'ClaimEffect',
      argsHash: world.host.digest.sha256(ARGS),
      executionId: world.scopes[0]?.executionId,
    });
    expect(report).toMatchObject({
      type: 'ReportEffect',
      executionId: claim?.executionId,
      entry: { type: 'effect-result', outcome: { ok: true, value: 'paid' } },
    });
    expect(world.scopes).toMatchObject([{ idempotencyKey: 'acme/run1/0/1', attempt: 1 }]);
  });

  it.each([
    ['is refused', refused('EffectAlreadyClaimed', 'terminal')],
    ['grants nothing', accepted],
    ['grants another execution', granted({ type: '', executionId: 'x9' })],
  ])('does not begin when the answer to its claim %s', async (_, answer) => {
    const world = new World(
      () => 'paid',
      () => answer,
    );
    world.effects.take(offer);
    await world.done();
    expect(world.scopes).toEqual([]);
    expect(world.ofType('ReportEffect')).toEqual([]);
  });

  it('does not begin when nobody answers in time, and forgets it', async () => {
    const world = new World(
      () => 'paid',
      () => refused('StoreUnavailable', 'retryable'),
    );
    world.effects.take(offer);
    await world.done();
    expect(world.scopes).toEqual([]);
    expect(world.effects.executions).toEqual([]);
  });

  it('does not begin when the window of its claim is over, and says so', async () => {
    const world = new World(
      () => 'paid',
      (asked) => (asked.type === 'ClaimEffect' ? granted(asked, 10) : accepted),
    );
    world.answerMs = 50;
    world.effects.take(offer);
    await world.done();
    expect(world.scopes).toEqual([]);
    expect(world.ofType('ReportEffect')).toMatchObject([{ entry: { type: 'effect-not-started' } }]);
  });

  it('names an execution in its heartbeats from its claim until its report is answered', async () => {
    const seen: (readonly string[])[] = [];
    const world: World = new World(
      () => 'paid',
      (asked) => {
        seen.push(world.effects.executions);
        return asked.type === 'ClaimEffect' ? granted(asked) : accepted;
      },
    );
    world.effects.take(offer);
    await world.done();
    const [id] = world.asked.map(({ executionId }) => executionId);
    expect(seen).toEqual([[id], [id]]);
    expect(world.effects.executions).toEqual([]);
  });

  it('repeats its report until it is answered', async () => {
    let failures = 3;
    const world = new World(
      () => 'paid',
      (asked) =>
        asked.type === 'ClaimEffect' ? granted(asked) : (failures -= 1) > 0 ? refused('StoreUnavailable', 'retryable') : accepted,
    );
    world.effects.take(offer);
    await world.done();
    expect(world.ofType('ReportEffect')).toHaveLength(3);
    expect(world.scopes).toHaveLength(1);
  });

  it('says that nobody knows when its tool throws what says nothing, and tries again what may be repeated', async () => {
    const fail = (): never => {
      throw new Error('no answer');
    };
    const irreversible = new World(fail);
    irreversible.effects.take(offer);
    await irreversible.done();
    expect(irreversible.ofType('ReportEffect')).toMatchObject([{ entry: { type: 'effect-unknown' } }]);
    const idempotent = new World(fail, undefined, { effect: 'idempotent' });
    idempotent.effects.take(offer);
    await idempotent.done();
    expect(idempotent.ofType('ReportEffect')).toMatchObject([
      { entry: { type: 'effect-result', outcome: { ok: false, error: { reaction: 'retryable' } } } },
    ]);
  });

  it('reports arguments that do not fit without claiming anything', async () => {
    const world = new World();
    world.effects.take({ ...offer, argsText: '{"amount":"much"}' });
    await world.done();
    expect(world.asked).toMatchObject([
      { type: 'ReportEffect', entry: { outcome: { ok: false, error: { code: 'InvalidArguments' } } } },
    ]);
  });

  it('asks its destination when it is offered a probe', async () => {
    const probe = () => ({ happened: true as const, result: 'paid' });
    const world = new World(() => 'paid', undefined, { effect: 'probeable', probe });
    world.effects.take({ ...offer, do: 'probe', executionId: 'x1', probe: 2 });
    await world.done();
    expect(world.asked).toMatchObject([
      { type: 'ReportEffect', executionId: 'x1', entry: { type: 'probe-result', probe: 2, found: { verdict: 'happened' } } },
    ]);
  });

  it('takes an offer once, no more than it has slots for, and none of another session or tool', async () => {
    const world = new World(() => new Promise(() => undefined));
    expect(world.effects.take({ ...offer, sessionId: 's0' }).claim).toBe('refused');
    expect(world.effects.take({ ...offer, tool: 'other' }).claim).toBe('refused');
    expect(world.effects.take(offer).claim).toBe('accepted');
    expect(world.effects.take(offer).claim).toBe('accepted');
    expect(world.effects.freeSlots).toBe(1);
    expect(world.effects.take({ ...offer, call: '2' }).claim).toBe('accepted');
    expect(world.effects.take({ ...offer, call: '3' }).claim).toBe('refused');
  });

  it('tells the tool to stop when the run is over', async () => {
    const stopped = new Retryable('Stopped', 'it was told to stop');
    const world = new World(({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(stopped))));
    world.effects.take(offer);
    await world.host.until(() => world.scopes.length === 1);
    const executionId = world.scopes[0]?.executionId ?? '';
    world.effects.abort({ type: 'stop', v: 1, tenant: 'acme', runId: 'run1', call: '1', executionId: 'another' });
    expect(world.scopes[0]?.signal.aborted).toBe(false);
    world.effects.abort({ type: 'stop', v: 1, tenant: 'acme', runId: 'run1', call: '1', executionId });
    await world.done();
    expect(world.ofType('ReportEffect')).toMatchObject([{ entry: { type: 'effect-result', outcome: { ok: false } } }]);
  });
});
