import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { runAddress, runStream, type ModelCallPage, type RunEvent } from '@perdure/run-contract';
import { evolve, noRun, type RunState } from '@perdure/run-domain';
import { assigned, decision, fact, ManualHost, requested, START_MS } from '@perdure/testing';
import { ModelCalls } from './model-calls';
import { RunCodec } from './run.codec';
import { Waiters } from './waiters';

const address = runAddress('acme', 'run1');
const error = { code: 'ModelUnavailable', message: 'no', reaction: 'retryable' } as const;
const asked = (call: string) => fact('ModelCallIntended', { call, turn: 1, model: 'm' });
const answered = (call: string, text: string): RunEvent => ({
  ...fact('ModelCallCompleted', { call, attempt: 2, decision: decision({ text }) }),
  report: { epoch: 1, seq: 1 },
});

function world() {
  const host = new ManualHost();
  const store = new MemoryEventStore(new MemoryLog(host.clock));
  const codec = new RunCodec({ blobs: new MemoryBlobStore(), host });
  let state: RunState = noRun;
  const readers = new Waiters(host);
  const calls = new ModelCalls({ store, codec, readers, stateOf: () => Promise.resolve(state) });
  const append = async (...events: readonly RunEvent[]): Promise<void> => {
    const provenance = { commandId: `c${state.revision}`, actor: 'user:x', traceparent: undefined };
    const { stored } = await codec.encodeAll(
      address,
      events.map((event) => ({ event, provenance })),
    );
    await store.append(runStream.build(address), 'any', stored);
    const before = state;
    state = events.reduce(evolve, state);
    calls.onAppended({ address, before, after: state, events });
  };
  return { host, append, page: (from: number, holdMs = 0) => calls.page(address, { from, holdMs }) };
}

describe('the model calls of a run, as the log tells them', () => {
  it('begin, fail and end with their text, in an epoch', async () => {
    const { append, page } = world();
    await append(requested({ kind: 'agent', name: 'helper' }), assigned(), asked('t1'));
    await append({
      ...fact('ModelCallFailed', { call: 't1', attempt: 1, error, retryAtMs: START_MS + 1 }),
      report: { epoch: 1, seq: 1 },
    });
    await append(answered('t1', 'Hello'));
    expect(await page(0)).toEqual({
      facts: [
        { type: 'assigned', revision: 1, epoch: 1 },
        { type: 'began', revision: 2, call: 't1' },
        { type: 'failed', revision: 3, call: 't1', epoch: 1, attempt: 1, final: false },
        { type: 'completed', revision: 4, call: 't1', epoch: 1, attempt: 2, text: 'Hello' },
      ],
      next: 5,
      ended: false,
    });
    expect((await page(4))?.facts).toHaveLength(1);
  });

  it('are told of as soon as the log says more, and not before', async () => {
    const { append, page, host } = world();
    await append(requested({ kind: 'agent', name: 'helper' }), assigned());
    let told: ModelCallPage | undefined;
    const waiting = page(2, 1_000).then((got) => (told = got));
    await host.advance(500);
    expect(told).toBeUndefined();
    await append(asked('t1'));
    await waiting;
    expect(told).toMatchObject({ facts: [{ type: 'began', call: 't1' }], next: 3 });
  });

  it('are answered with nothing when nothing has come', async () => {
    const { append, page, host } = world();
    await append(requested({ kind: 'agent', name: 'helper' }), assigned());
    const waiting = page(2, 1_000);
    await host.advance(1_000);
    expect(await waiting).toEqual({ facts: [], next: 2, ended: false });
  });

  it('end with the run', async () => {
    const { append, page } = world();
    await append(requested({ kind: 'agent', name: 'helper' }), assigned(), asked('t1'));
    await append(fact('RunCompleted', { output: 'Hello', endedAtMs: START_MS }));
    expect(await page(2)).toMatchObject({ next: 4, ended: true });
    expect(await page(4, 1_000)).toEqual({ facts: [], next: 4, ended: true });
  });

  it('come in pages that a message of the bus can hold', async () => {
    const { append, page } = world();
    await append(requested({ kind: 'agent', name: 'helper' }), assigned());
    for (const turn of [1, 2, 3]) {
      await append(asked(`t${turn}`));
      await append(answered(`t${turn}`, 'x'.repeat(600_000)));
    }
    const first = await page(0);
    expect(first?.facts.map(({ type }) => type)).toEqual(['assigned', 'began', 'completed', 'began', 'completed']);
    expect((await page(first?.next ?? 0))?.facts.at(-1)).toMatchObject({ type: 'completed', call: 't3' });
  });

  it('are those of no run when there is none', async () => {
    expect(await world().page(0)).toBeUndefined();
  });
});
