import type { RunEvent } from '@perdure/run-contract';
import { assigned, fact, intendedEffect, lost, requested, sleepSet, START_MS } from '@perdure/testing';
import { evolve } from './run.evolve';
import { isOpen, noRun, type RunState } from './run.state';
import { viewOf } from './run.view';

const ADDRESS = { tenant: 'acme', runId: 'run1' };

/** The view after these facts, each decided a second after the one before it. */
function viewAfter(...facts: readonly RunEvent[]) {
  const state = facts.reduce<RunState>((run, event, at) => evolve(run, { ...event, atMs: START_MS + at * 1_000 }), noRun);
  if (state.status === 'none') throw new Error('no facts');
  return viewOf(ADDRESS, state);
}

const active = [requested(), assigned()];
const divergence = { call: '2', expected: 'tool pay', found: 'step total', position: 4 };

describe('what a run waits on', () => {
  it.each<[string, readonly RunEvent[], object]>([
    ['capacity', [requested()], { promise: 'release', keeper: 'admission', sinceMs: START_MS }],
    ['a report of its worker', active, { promise: 'progress', keeper: 'orchestrator', sinceMs: START_MS + 1_000 }],
    ['another worker', [...active, lost(1)], { promise: 'activation', keeper: 'orchestrator', sinceMs: START_MS + 2_000 }],
    [
      'a person',
      [...active, fact('CodeDiverged', { epoch: 1, buildId: 'build-1', divergence })],
      { promise: 'resume', keeper: 'person', sinceMs: START_MS + 2_000 },
    ],
    [
      'a timer',
      [...active, sleepSet('1'), fact('RunSuspended', { epoch: 1 })],
      { promise: 'timer', keeper: 'timers', id: '1', sinceMs: START_MS + 2_000, dueAtMs: expect.any(Number) as number },
    ],
    [
      'capacity again, since it was woken',
      [...active, sleepSet('1'), fact('RunSuspended', { epoch: 1 }), fact('RunWoken', {})],
      { promise: 'release', keeper: 'admission', sinceMs: START_MS + 4_000 },
    ],
  ])('names %s, since when, and what would close it', (_, facts, promise) => {
    const [first] = viewAfter(...facts).waitingOn;
    expect(first).toMatchObject(promise);
    expect(first?.closedBy).toMatch(/\w{3}/);
  });

  it('counts the wait for a retry from the failure, and the next attempt from its beginning', () => {
    const error = { code: 'Busy', message: 'later', reaction: 'retryable' as const };
    const dueAtMs = START_MS + 60_000;
    const failed = [
      ...active,
      intendedEffect('c1'),
      fact('EffectFailed', { call: 'c1', attempt: 1, error, retryAtMs: dueAtMs }),
      fact('TimerSet', { timerId: 'retry-c1-1', purpose: 'retry', call: 'c1', dueAtMs }),
    ];
    expect(viewAfter(...failed).waitingOn[1]).toMatchObject({
      promise: 'timer',
      id: 'retry-c1-1',
      sinceMs: START_MS + 3_000,
      dueAtMs,
    });
    const again = viewAfter(...failed, fact('TimerFired', { timerId: 'retry-c1-1', dueAtMs }));
    expect(again.waitingOn[1]).toMatchObject({ promise: 'effect', id: 'c1', sinceMs: START_MS + 5_000 });
  });

  it('takes the time before for facts that carry none', () => {
    const state = [requested(), assigned(), lost(1)].reduce<RunState>(evolve, noRun);
    expect(isOpen(state) && viewOf(ADDRESS, state).sinceMs).toBe(START_MS);
  });
});
