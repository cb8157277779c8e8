import { partitionOf } from '@perdure/kernel';
import { MemoryBroker, type MemoryConnection } from '@perdure/platform-bus-memory';
import {
  commandEnvelope,
  partitionSubject,
  runAddress,
  tokenSubject,
  type ModelCallFact,
  type ModelCallPage,
} from '@perdure/run-contract';
import { ManualHost } from '@perdure/testing';
import { ToldText } from '../engine/told-text';
import type { TokenEvent } from './token-merge';
import { TokenReader, type TokensOptions } from './token-reader';
import { Screen } from './token-merge.world';

const address = runAddress('acme', 'run1');
const attempt = { call: 't1', epoch: 1, attempt: 1 };
const assigned = { type: 'assigned', revision: 1, epoch: 1 } as const;
const began = { type: 'began', revision: 2, call: 't1' } as const;
const completed = (text: string) => ({ type: 'completed', revision: 3, ...attempt, text }) as const;

/** The owner of the run: what it says of model calls, and who waits for more. */
class FakeOwner {
  readonly facts: ModelCallFact[] = [];
  ended = false;
  private readonly waiting: (() => void)[] = [];

  constructor(connection: MemoryConnection) {
    connection.bus.subscribe(partitionSubject.build(partitionOf(address.runId)), ({ payload, respond }) => {
      const { command } = commandEnvelope.parse(JSON.parse(payload));
      if (command.type !== 'GetModelCalls') return;
      const answer = (): void => {
        const page = this.page(command.from);
        if (page === undefined) this.waiting.push(answer);
        else respond(JSON.stringify({ ok: true, value: page }));
      };
      answer();
    });
  }

  record(...facts: readonly ModelCallFact[]): void {
    this.facts.push(...facts);
    for (const answer of this.waiting.splice(0)) answer();
  }

  end(): void {
    this.ended = true;
    this.record();
  }

  private page(from: number): ModelCallPage | undefined {
    const facts = this.facts.filter(({ revision }) => revision >= from);
    const next = (facts.at(-1)?.revision ?? from - 1) + 1;
    return facts.length === 0 && !this.ended ? undefined : { facts, next, ended: this.ended };
  }
}

function world() {
  const host = new ManualHost();
  let isDeaf = false;
  const broker = new MemoryBroker({
    timers: host.timers,
    fate: ({ subject }) => (isDeaf && subject === tokenSubject.build(address) ? 'drop' : 'deliver'),
  });
  const owner = new FakeOwner(broker.connect('owner'));
  const worker = broker.connect('worker');
  const told = new ToldText({ host, bus: worker.bus }, address);
  const reading = (options?: TokensOptions) =>
    new TokenReader({ host, bus: broker.connect('reader').bus }, address, options).read();
  /** Reads on, and shows what comes. */
  const reader = (options?: TokensOptions, screen = new Screen()) => {
    const events: TokenEvent[] = [];
    const done = (async () => {
      for await (const event of reading(options)) {
        events.push(event);
        screen.show(event);
      }
    })();
    return { screen, events, done, types: () => events.map(({ type }) => type) };
  };
  const deafen = (deaf: boolean): void => void (isDeaf = deaf);
  return { host, broker, owner, worker, told, reading, reader, deafen };
}

describe('a reader of tokens', () => {
  it('shows the text while it comes, and what is recorded at the end', async () => {
    const { host, owner, told, reader } = world();
    const { screen, done, types } = reader();
    owner.record(assigned, began);
    await host.settle();
    const text = told.begin(attempt);
    text.add('Hello');
    await host.settle();
    expect(screen.shown.get('t1')).toBe('Hello');
    text.add(' there');
    text.end();
    owner.record(completed('Hello there'));
    owner.end();
    await done;
    expect([screen.shown.get('t1'), types()]).toEqual(['Hello there', ['text', 'text', 'completed']]);
  });

  it('that comes late is told by the worker what was said before', async () => {
    const { host, owner, told, reader } = world();
    owner.record(assigned, began);
    told.begin(attempt).add('Hello');
    await host.settle();
    const { screen } = reader();
    await host.settle();
    expect(screen.shown.get('t1')).toBe('Hello');
  });

  it('asks for what it has missed', async () => {
    const { host, owner, told, reader, deafen } = world();
    const { screen, events } = reader();
    owner.record(assigned, began);
    await host.settle();
    const text = told.begin(attempt);
    for (const [piece, isLost] of [
      ['Hello ', false],
      ['my ', true],
      ['dear', false],
    ] as const) {
      deafen(isLost);
      text.add(piece);
      await host.advance(50);
    }
    expect(screen.shown.get('t1')).toBe('Hello my dear');
    expect(events).toMatchObject([{ offset: 0 }, { offset: 6, text: 'my dear' }]);
  });

  it('asks for what it may have missed while the connection was lost', async () => {
    const { host, broker, owner, told, reader, deafen } = world();
    const { screen } = reader();
    owner.record(assigned, began);
    await host.settle();
    deafen(true);
    told.begin(attempt).add('Hello');
    await host.settle();
    expect(screen.shown.get('t1')).toBeUndefined();
    broker.restart();
    await host.settle();
    expect(screen.shown.get('t1')).toBe('Hello');
  });

  it('goes on after the event that it got last', async () => {
    const { host, owner, told, reader } = world();
    const controller = new AbortController();
    const first = reader({ signal: controller.signal });
    owner.record(assigned, began);
    await host.settle();
    const text = told.begin(attempt);
    text.add('Hello');
    await host.settle();
    const after = first.events.at(-1)?.id ?? '';
    controller.abort();
    await first.done;
    text.add(' there');
    await host.advance(50);
    const second = reader({ after }, first.screen);
    await host.settle();
    expect(second.events).toMatchObject([{ type: 'text', offset: 5, text: ' there' }]);
  });

  it('that is slow is kept nothing for beyond a bound, and misses nothing', async () => {
    const { host, owner, told, reading } = world();
    const events = reading();
    const screen = new Screen();
    const next = async () => {
      const step = await events.next();
      if (step.done !== true) screen.show(step.value);
      return step.done;
    };
    owner.record(assigned, began);
    const first = next();
    await host.settle();
    const text = told.begin(attempt);
    text.add('a');
    await first;
    const whole = `a${'x'.repeat(1_500_000)}`;
    text.add(whole.slice(1));
    await host.settle();
    text.end();
    owner.record(completed(whole));
    owner.end();
    while ((await next()) !== true);
    expect(screen.shown.get('t1') === whole).toBe(true);
  });

  it('ends when it is told to, though nothing comes', async () => {
    const { host, reader } = world();
    const controller = new AbortController();
    const { done, types } = reader({ signal: controller.signal });
    await host.settle();
    controller.abort();
    await done;
    expect(types()).toEqual([]);
  });

  it('is told when there is no such run', async () => {
    const host = new ManualHost();
    const error = { code: 'RunNotFound', message: 'none', reaction: 'terminal' };
    const broker = new MemoryBroker({ timers: host.timers });
    const refuse = JSON.stringify({ ok: false, error });
    broker.connect('owner').bus.subscribe(partitionSubject.build(partitionOf(address.runId)), ({ respond }) => respond(refuse));
    const reading = new TokenReader({ host, bus: broker.connect('reader').bus }, address).read();
    await expect(reading.next()).rejects.toMatchObject({ code: 'RunNotFound' });
  });

  it('lives with what makes no sense on the subject', async () => {
    const { host, owner, worker, told, reader } = world();
    const { screen } = reader();
    owner.record(assigned, began);
    await host.settle();
    worker.bus.publish(tokenSubject.build(address), '{"v":1,"call":7}');
    told.begin(attempt).add('Hello');
    await host.settle();
    expect(screen.shown.get('t1')).toBe('Hello');
  });
});
