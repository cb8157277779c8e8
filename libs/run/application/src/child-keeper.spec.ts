import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { runAddress, type RunAddress, type RunEvent } from '@perdure/run-contract';
import { evolve, noRun, type EndChild, type NoteChildStarted, type RunState } from '@perdure/run-domain';
import { assigned, fact, ManualHost, requested, START_MS } from '@perdure/testing';
import { ChildKeeper } from './child-keeper';

const parent = runAddress('acme', 'parent');
const child = (n: number): RunAddress => runAddress('acme', `child-${n}`);
const asked = (n: number, more: object = {}) =>
  fact('ChildRequested', { call: `${n}`, child: `child-${n}`, name: 'helper', input: n, parentClose: 'cancel', ...more });
const COMPLETED = { status: 'completed', output: 'done' };

type Command = { readonly type: string } & Readonly<Record<string, unknown>>;

/** Owners that answer as told. */
class World {
  readonly host = new ManualHost({ nowMs: START_MS });
  readonly log = new MemoryEventStore(new MemoryLog(this.host.clock));
  readonly facts: RunEvent[] = [];
  readonly asked: string[] = [];
  readonly decided: object[] = [];
  readonly outcomes = new Map<string, object>();
  answers: (command: Command) => object | 'silence' = () => ({ ok: true, value: {} });
  isOwner = true;
  readonly keeper = this.another();

  /** Of another instance, or of this one after a restart: it knows what the log says. */
  another(): ChildKeeper {
    const keeper = new ChildKeeper({
      host: this.host,
      owns: () => this.isOwner,
      ask: async (address, request) => this.answer(address, request),
      decide: async (_, command) => this.decide(command),
      stateOf: async () => this.state(),
      factAt: async (_, revision) => this.facts[revision],
    });
    keeper.index.restore(undefined);
    this.facts.forEach((event, revision) => keeper.index.noteOwn(parent, event, revision));
    keeper.index.caughtUp();
    return keeper;
  }

  state(): RunState {
    return this.facts.reduce<RunState>(evolve, noRun);
  }

  happen(...facts: readonly RunEvent[]): void {
    for (const event of facts) {
      this.facts.push(event);
      this.keeper.index.noteOwn(parent, event, this.facts.length - 1);
      this.keeper.keep(parent, this.state());
    }
  }

  private decide(command: EndChild | NoteChildStarted): void {
    this.decided.push(command);
    const { type, ...data } = command;
    this.happen(type === 'EndChild' ? fact('ChildEnded', data as EndChild) : fact('ChildStarted', data));
  }

  childEnds(n: number, outcome: object = COMPLETED): void {
    this.outcomes.set(`child-${n}`, outcome);
    this.keeper.index.noteOwn(child(n), fact('RunCompleted', { output: 1, endedAtMs: 1 }), 5);
  }

  private answer({ tenant, runId }: RunAddress, request: string): string {
    const { command } = JSON.parse(request) as { readonly command: Command };
    this.asked.push(`${command.type} ${runId}`);
    const answer = this.answers(command);
    if (answer === 'silence') throw new Error('nobody answers');
    if (command.type !== 'GetRun') return JSON.stringify(answer);
    const outcome = this.outcomes.get(runId);
    const view = { runId, tenant, kind: 'workflow', name: 'helper', status: outcome ? 'ended' : 'active', revision: 1, epoch: 1 };
    return JSON.stringify({ ok: true, value: { ...view, requestedAtMs: 1, cancelRequested: false, waitingOn: [], outcome } });
  }
}

async function begun(...more: readonly RunEvent[]): Promise<World> {
  const world = new World();
  world.happen(requested({ requestedBy: 'ada' }), assigned(), ...more);
  await world.host.settle();
  return world;
}

describe('a child that is asked for', () => {
  it('is started, once, and its end is brought', async () => {
    const world = await begun(asked(1));
    world.happen(fact('StepsRecorded', { entries: [{ type: 'value', call: '9', name: 'now', value: 1 }] }));
    await world.host.settle();
    expect(world.asked).toEqual(['StartRun child-1']);
    world.childEnds(1);
    await world.host.settle();
    expect(world.decided).toEqual([{ type: 'EndChild', call: '1', child: 'child-1', outcome: { ok: true, value: 'done' } }]);
  });

  it('is asked for again until somebody answers', async () => {
    const world = new World();
    world.answers = () => 'silence';
    world.happen(requested(), assigned(), asked(1));
    await world.host.advance(5_000);
    const times = world.asked.length;
    expect(times).toBeGreaterThan(2);
    world.answers = () => ({ ok: true, value: {} });
    await world.host.advance(10_000);
    expect(world.asked).toHaveLength(times + 1);
  });

  it('ends at once when it is refused for good', async () => {
    const world = new World();
    const error = { code: 'UnknownAgent', message: 'no', reaction: 'terminal' as const };
    world.answers = () => ({ ok: false, error });
    world.happen(requested(), assigned(), asked(1));
    await world.host.settle();
    expect(world.decided).toEqual([{ type: 'EndChild', call: '1', child: 'child-1', outcome: { ok: false, error } }]);
  });

  it('waits for its turn among many', async () => {
    const world = await begun(...Array.from({ length: 150 }, (_, n) => asked(n)));
    expect(world.asked).toHaveLength(100);
    world.happen(fact('ChildEnded', { call: '0', child: 'child-0', outcome: { ok: true, value: 1 } }));
    await world.host.settle();
    expect(world.asked.at(-1)).toBe('StartRun child-100');
    expect(world.asked).toHaveLength(101);
  });

  it('that is detached ends its call with its start', async () => {
    const world = await begun(asked(1, { detached: true }));
    expect(world.decided).toEqual([{ type: 'NoteChildStarted', call: '1', child: 'child-1' }]);
  });

  it.each([
    [{ status: 'failed', error: { code: 'X', message: 'x', reaction: 'retryable' } }, 'X'],
    [{ status: 'cancelled', reason: 'no' }, 'ChildCancelled'],
    [{ status: 'timed-out', deadlineAtMs: 1 }, 'ChildTimedOut'],
    [{ status: 'terminated', reason: 'no', leftOpen: [] }, 'ChildTerminated'],
    [{ status: 'refused', code: 'PoolFull', message: 'no' }, 'PoolFull'],
  ])('and %j gives its parent a typed failure', async (outcome, code) => {
    const world = await begun(asked(1));
    world.childEnds(1, outcome);
    await world.host.settle();
    const error = { code, reaction: 'terminal', details: { child: 'child-1' } };
    expect(world.decided).toMatchObject([{ type: 'EndChild', outcome: { ok: false, error } }]);
  });
});

describe('after a restart', () => {
  it('what was asked for is started, and what has ended is brought', async () => {
    const world = new World();
    world.isOwner = false;
    world.happen(requested(), assigned(), asked(1), asked(2));
    world.isOwner = true;
    const after = world.another();
    await world.host.settle();
    expect(world.asked).toEqual(['StartRun child-1', 'StartRun child-2']);
    world.outcomes.set('child-2', COMPLETED);
    after.index.noteOwn(child(2), fact('RunCompleted', { output: 1, endedAtMs: 1 }), 5);
    await world.host.settle();
    expect(world.decided).toMatchObject([{ type: 'EndChild', child: 'child-2' }]);
  });

  it('the index is the same as the one that was saved', async () => {
    const world = await begun(asked(1), asked(2, { parentClose: 'abandon' }));
    const saved = JSON.parse(JSON.stringify(world.keeper.index.snapshot())) as never;
    const after = world.another();
    after.index.restore(saved);
    expect([...after.index.all()]).toEqual([...world.keeper.index.all()]);
  });

  it('is asked for by no owner of other runs', async () => {
    const world = new World();
    world.isOwner = false;
    world.happen(requested(), assigned(), asked(1));
    world.another();
    await world.host.advance(10_000);
    expect(world.asked).toEqual([]);
  });
});

describe('a child that nobody wants any more', () => {
  const cancel = fact('RunCancelRequested', { reason: 'no', commandId: 'c', requestedAtMs: START_MS });
  const over = fact('RunFailed', { error: { code: 'X', message: 'x', reaction: 'terminal' }, endedAtMs: 1 });

  it('is cancelled with its parent, and started first if nobody knows whether it exists', async () => {
    const world = await begun(asked(1), asked(2, { parentClose: 'abandon' }));
    world.answers = () => 'silence';
    world.happen(asked(3));
    await world.host.settle();
    world.answers = () => ({ ok: true, value: {} });
    world.happen(cancel);
    await world.host.advance(10_000);
    expect(world.asked.filter((request) => request.startsWith('Cancel')).sort()).toEqual([
      'CancelRun child-1',
      'CancelRun child-3',
    ]);
    expect(world.asked.indexOf('CancelRun child-3')).toBeGreaterThan(world.asked.lastIndexOf('StartRun child-3'));
  });

  it.each([
    ['cancel', ['StartRun child-1', 'CancelRun child-1']],
    ['request', ['StartRun child-1', 'CancelRun child-1']],
    ['abandon', ['StartRun child-1']],
  ])('because its parent has ended: the policy %s', async (parentClose, wanted) => {
    const world = await begun(asked(1, { parentClose }), over);
    await world.host.settle();
    expect(world.asked).toEqual(wanted);
  });

  it('and was never started is looked up in the log', async () => {
    const world = new World();
    world.isOwner = false;
    world.happen(requested(), assigned(), asked(1, { parentClose: 'abandon' }), over);
    world.isOwner = true;
    const after = world.another();
    await world.host.settle();
    expect(world.asked).toEqual(['StartRun child-1']);
    after.index.noteOwn(child(1), assigned(), 1);
    expect(after.index.size).toBe(0);
  });

  it('was asked for before its parent was rewound', async () => {
    const world = await begun(asked(1));
    const { journal, signals } = { journal: [], signals: [] };
    const carried = { turn: 0, journal, signals };
    const rewound = fact('RunRewound', { to: 1, branch: 1, carried, reason: 'x', commandId: 'c' });
    world.keeper.index.noteOwn(parent, rewound, 9);
    await world.host.settle();
    expect(world.asked).toEqual(['StartRun child-1', 'CancelRun child-1']);
  });
});
