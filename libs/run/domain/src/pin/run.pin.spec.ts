import type { RunEvent } from '@perdure/run-contract';
import {
  agentManifest,
  assigned,
  commandIdAt,
  deciderSpec,
  fact,
  knownCode,
  lost,
  requested,
  sleepSet,
  specIdentities,
  START_MS,
  workflowManifest,
} from '@perdure/testing';
import type { DomainCommand, KnownCode } from '../run.commands';
import { runDecider } from '../run.decider';
import { pendingEffects } from '../run.effects';
import { evolve } from '../run.evolve';
import { isOpen, noRun, type RunState } from '../run.state';
import { viewOf } from '../run.view';

const given = deciderSpec(runDecider(specIdentities), pendingEffects);
const ID = commandIdAt(START_MS, 7);
const workflow = knownCode(workflowManifest());

function at(command: DomainCommand, code: KnownCode = workflow) {
  return { command, at: { nowMs: START_MS, commandId: ID, fraction: 0.5 }, code };
}

const releaseTo = (buildId: string, code: KnownCode = workflow) =>
  at(
    {
      type: 'ReleaseRun',
      permitId: 'permit-2',
      term: 3,
      workerId: 'worker-2',
      sessionId: 'session-2',
      buildId,
      notAfterMs: START_MS,
    },
    code,
  );
const placeAt = (buildId: string, code: KnownCode = workflow) =>
  at({ type: 'PlaceRun', workerId: 'worker-2', sessionId: 'session-2', buildId }, code);
const repinTo = (buildId: string, code: KnownCode = workflow) => at({ type: 'RepinRun', buildId, reason: 'checked' }, code);
const takesOver = (...compatibleWith: readonly string[]): KnownCode => ({ ...workflow, compatibleWith });

const placed = (buildId: string, permitId = 'permit-2') =>
  assigned(2, { workerId: 'worker-2', sessionId: 'session-2', buildId, permitId });
const waiting = [
  requested(),
  assigned(),
  sleepSet('1'),
  fact('RunSuspended', { epoch: 1 }),
  fact('RunWoken', { preferredWorkerId: 'worker-1' }),
];
const repinned = fact('RunRepinned', { buildId: 'build-2', reason: 'checked', commandId: ID });
const divergence = { call: '2', expected: 'tool pay', found: 'step total', position: 4 };
const diverged = [requested(), assigned(), fact('CodeDiverged', { epoch: 1, buildId: 'build-1', divergence })];

describe('a workflow that has begun under one build', () => {
  it('is released to workers of that build alone', () => {
    given(...waiting)
      .when(releaseTo('build-2'))
      .thenRejected('WrongBuild');
    given(...waiting)
      .when(releaseTo('build-1'))
      .then(placed('build-1'));
  });

  it('is placed with workers of that build alone after a loss: it waits for one', () => {
    const facts = [requested(), assigned(), lost(1)];
    given(...facts)
      .when(placeAt('build-2'))
      .thenNothing();
    given(...facts)
      .when(placeAt('build-1'))
      .then(placed('build-1', 'permit-1'));
    given(...facts).thenPending([{ type: 'FindWorker' }]);
  });

  it('goes on with a build that declares itself compatible, and is pinned to that one from then on', () => {
    given(...waiting)
      .when(releaseTo('build-2', takesOver('build-0')))
      .thenRejected('WrongBuild');
    given(...waiting)
      .when(releaseTo('build-2', takesOver('build-0', 'build-1')))
      .then(placed('build-2'));
    given(...waiting, placed('build-2'), lost(2))
      .when(placeAt('build-1'))
      .thenNothing();
  });

  it('is not pinned before it has begun', () => {
    given(requested())
      .when(releaseTo('build-7'))
      .then(assigned(1, { workerId: 'worker-2', sessionId: 'session-2', buildId: 'build-7', permitId: 'permit-2' }));
  });
});

describe('an agent', () => {
  const agent = requested({ kind: 'agent', name: 'helper' });
  const begun = [agent, assigned(), fact('ModelCallIntended', { call: 't1', turn: 1, model: 'm' }), lost(1)];

  it('goes on with whatever build has room: its loop is no code that is replayed', () => {
    given(...begun)
      .when(placeAt('build-2', knownCode(agentManifest())))
      .then(placed('build-2', 'permit-1'));
  });

  it('cannot be pinned', () => {
    given(...begun)
      .when(repinTo('build-2', knownCode(agentManifest())))
      .thenRejected('NotPinned');
  });
});

describe('pinning a run anew', () => {
  it('lets the other build go on, and the first one no more', () => {
    given(...waiting)
      .when(repinTo('build-2'))
      .then(repinned);
    given(...waiting, repinned)
      .when(releaseTo('build-2'))
      .then(placed('build-2'));
    given(...waiting, repinned)
      .when(releaseTo('build-1'))
      .thenRejected('WrongBuild');
  });

  it('leaves to the activation that is under way what it has begun', () => {
    const active = [requested(), assigned(), repinned];
    given(...active).thenPending([{ type: 'KeepActivation', epoch: 1, workerId: 'worker-1', sessionId: 'session-1' }]);
    given(...active, lost(1))
      .when(placeAt('build-1'))
      .thenNothing();
    given(...active, lost(1))
      .when(placeAt('build-2'))
      .then(placed('build-2', 'permit-1'));
  });

  it('wants a registered build that hosts the workflow', () => {
    given(...waiting)
      .when(repinTo('build-9', knownCode(undefined)))
      .thenRejected('UnknownBuild');
    given(...waiting)
      .when(repinTo('build-9', knownCode(agentManifest())))
      .thenRejected('UnknownBuild');
  });

  it('says nothing new when it is repeated, or the run is pinned so already', () => {
    given(...waiting, repinned)
      .when(repinTo('build-2'))
      .thenNothing();
    given(...waiting)
      .when(repinTo('build-1'))
      .thenNothing();
  });

  it('of a run that has ended is refused', () => {
    given(requested(), assigned(), fact('RunCompleted', { output: 1, endedAtMs: START_MS }))
      .when(repinTo('build-2'))
      .thenRejected('RunAlreadyEnded');
  });
});

describe('a run whose code has diverged', () => {
  const resumed = fact('RunResumed', { reason: 'go', commandId: commandIdAt(START_MS, 8) });

  it('goes on with any build once it is resumed: a fixed one has another id', () => {
    given(...diverged, resumed)
      .when(releaseTo('build-2'))
      .then(placed('build-2'));
  });

  it('goes on with the build that it is pinned to meanwhile, and no other', () => {
    given(...diverged, repinned, resumed)
      .when(releaseTo('build-1'))
      .thenRejected('WrongBuild');
  });
});

describe('what a pinned run says it waits on', () => {
  const viewAfter = (facts: readonly RunEvent[], buildIsHosted?: boolean) => {
    const state = facts.reduce<RunState>((run, event) => evolve(run, { ...event, atMs: START_MS }), noRun);
    if (!isOpen(state)) throw new Error('it has ended');
    return viewOf({ tenant: 'acme', runId: 'run1' }, state, { buildIsHosted });
  };

  it.each([
    ['queued', waiting],
    ['between two workers', [requested(), assigned(), lost(1)]],
  ])('names the build, that none is connected, and what to do, when it is %s', (_, facts) => {
    const [first] = viewAfter(facts, false).waitingOn;
    expect(first?.detail).toBe('a worker of build build-1 in pool default; none is connected');
    expect(first?.closedBy).toMatch(/start that build .* repin/);
  });

  it('does not say that none is connected while one is, or while nobody can know', () => {
    for (const known of [true, undefined]) expect(viewAfter(waiting, known).waitingOn[0]?.detail).not.toMatch('none');
  });

  it('shows the build, and none before it has begun or once it has diverged', () => {
    expect(viewAfter(waiting).buildId).toBe('build-1');
    expect(viewAfter([...waiting, repinned]).buildId).toBe('build-2');
    expect(viewAfter([requested()])).not.toHaveProperty('buildId');
    expect(viewAfter(diverged)).not.toHaveProperty('buildId');
  });
});
