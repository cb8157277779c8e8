import type { ProgressEntry, RunEvent } from '@perdure/run-contract';
import {
  assigned,
  deadlineSet,
  deciderSpec,
  fact,
  intendedEffect,
  lost,
  progress,
  reported,
  requested,
  sleepSet,
  specIdentities,
  START_MS,
} from '@perdure/testing';
import { runDecider } from '../run.decider';
import { pendingEffects } from '../run.effects';

const given = deciderSpec(runDecider(specIdentities), pendingEffects);
const report = (...entries: readonly ProgressEntry[]) => progress({}, ...entries);
const first = (event: RunEvent) => reported(1, 1, event);
const step = (call: string): ProgressEntry => ({ type: 'step', call, name: 'total', outcome: { ok: true, value: 1 } });
const steps = (...calls: readonly string[]) =>
  fact('StepsRecorded', {
    entries: calls.map((call) => ({ type: 'step', call, name: 'total', outcome: { ok: true, value: 1 } })),
  });

const active = [requested(), assigned()];
const retryable = { code: 'Busy', message: 'later', reaction: 'retryable' as const };
const terminal = { code: 'Broken', message: 'never', reaction: 'terminal' as const };

describe('a report', () => {
  it('of an epoch that has ended is refused, whatever the worker believes', () => {
    given(...active, lost(1), assigned(2))
      .when(report(step('1')))
      .thenRejected('StaleEpoch');
    given(...active, lost(1))
      .when(report(step('1')))
      .thenRejected('StaleEpoch');
    given(...active)
      .when(progress({ epoch: 2 }, step('1')))
      .thenRejected('StaleEpoch');
    given(requested())
      .when(report(step('1')))
      .thenRejected('StaleEpoch');
  });

  it('repeated changes nothing', () => {
    given(...active, first(steps('1')))
      .when(report(step('1')))
      .thenNothing();
    given(...active, first(steps('1')), reported(1, 2, steps('2')))
      .when(report(step('1')))
      .thenNothing();
  });

  it.each<[string, RunEvent[]]>([
    ['let go of the run', [first(steps('1')), first(fact('RunSuspended', { epoch: 1 }))]],
    ['handed it over', [first(fact('ActivationLost', { epoch: 1, reason: 'handed-over' }))]],
    ['ended it', [first(fact('RunCompleted', { output: 1, endedAtMs: START_MS }))]],
  ])('repeated after it %s changes nothing', (_, facts) => {
    given(...active, ...facts)
      .when(report(step('1')))
      .thenNothing();
  });

  it('after one that is missing is refused', () => {
    given(...active)
      .when(progress({ seq: 2 }, step('1')))
      .thenRejected('SequenceGap');
    given(...active, first(steps('1')))
      .when(progress({ seq: 3 }, step('1')))
      .thenRejected('SequenceGap');
  });

  it('counts from 1 again in each epoch', () => {
    given(...active, first(steps('1')), lost(1), assigned(2))
      .when(progress({ epoch: 2, seq: 1 }, step('2')))
      .then(reported(2, 1, steps('2')));
  });

  it('without entries changes nothing', () => {
    given(...active)
      .when(report())
      .thenNothing();
  });

  it('to a run that has ended is refused, unless it is the last one again', () => {
    const ended = [...active, first(fact('RunCompleted', { output: 1, endedAtMs: START_MS }))];
    given(...ended)
      .when(progress({ seq: 2 }, step('1')))
      .thenRejected('RunAlreadyEnded');
    given(...active, fact('RunTimedOut', { deadlineAtMs: 0, endedAtMs: START_MS }))
      .when(report(step('1')))
      .thenRejected('RunAlreadyEnded');
  });

  it('puts neighbouring results into one fact and keeps the order', () => {
    given(...active)
      .when(report(step('1'), step('2'), { type: 'timer-set', call: '3', delayMs: 1_000 }, step('4')))
      .then(first(steps('1', '2')), first(sleepSet('3')), first(steps('4')));
  });

  it('is accepted whole or not at all', () => {
    given(...active)
      .when(report(step('1'), { type: 'effect-result', call: '9', attempt: 1, outcome: { ok: true, value: 1 } }))
      .thenRejected('UnknownCall');
  });

  it('ends with what lets go of the run', () => {
    given(...active)
      .when(report({ type: 'completed', output: 1 }, step('1')))
      .thenRejected('UnknownCall');
    given(...active)
      .when(report({ type: 'timer-set', call: '1', delayMs: 5_000 }, { type: 'suspended' }, { type: 'completed', output: 1 }))
      .thenRejected('UnknownCall');
  });

  it('does not let go of a run that nothing could wake', () => {
    given(...active)
      .when(report({ type: 'suspended' }))
      .thenRejected('NothingToWaitFor');
  });

  it('ends the run as its code says', () => {
    given(...active)
      .when(report({ type: 'completed', output: { sum: 3 } }))
      .then(first(fact('RunCompleted', { output: { sum: 3 }, endedAtMs: START_MS })));
    given(...active)
      .when(report({ type: 'failed', error: terminal }))
      .then(first(fact('RunFailed', { error: terminal, endedAtMs: START_MS })));
  });

  it('that code and journal disagree pauses the run', () => {
    const divergence = { call: '2', expected: 'tool pay', found: 'step total', position: 4 };
    given(...active)
      .when(report({ type: 'diverged', divergence }))
      .then(first(fact('CodeDiverged', { epoch: 1, buildId: 'build-1', divergence })));
  });

  it('that the worker goes away frees the run for another', () => {
    const handedOver = first(fact('ActivationLost', { epoch: 1, reason: 'handed-over' }));
    given(...active)
      .when(report({ type: 'handed-over' }))
      .then(handedOver);
    given(...active, handedOver).thenPending([{ type: 'FindWorker' }]);
  });
});

describe('an inbound fact', () => {
  const fired = [...active, sleepSet('1'), fact('TimerFired', { timerId: '1', dueAtMs: START_MS + 1_000 })];
  const delivered = (revision: number, call = '1'): ProgressEntry => ({ type: 'delivered', call, revision });

  it('is delivered once, by its revision', () => {
    const entries = fact('StepsRecorded', { entries: [{ type: 'delivered', call: '1', revision: 3 }] });
    given(...fired)
      .when(report(delivered(3)))
      .then(first(entries));
    given(...fired, first(entries))
      .when(progress({ seq: 2 }, delivered(3)))
      .thenRejected('UnknownCall');
  });

  it('that is not there cannot be delivered', () => {
    given(...fired)
      .when(report(delivered(2)))
      .thenRejected('UnknownCall');
    given(...fired)
      .when(report(delivered(3), delivered(3)))
      .thenRejected('UnknownCall');
  });

  it('is delivered to the call that waits for it and to no other', () => {
    given(...fired)
      .when(report(delivered(3, '7')))
      .thenRejected('UnknownCall');
  });
});

describe('a sleep', () => {
  const suspend: ProgressEntry = { type: 'suspended' };
  const letGo = first(fact('RunSuspended', { epoch: 1 }));
  const woken = first(fact('RunWoken', { preferredWorkerId: 'worker-1' }));

  it('is due by the clock of the owner', () => {
    given(...active)
      .when(progress({ nowMs: START_MS + 70 }, { type: 'timer-set', call: '1', delayMs: 30 }))
      .then(first(sleepSet('1', START_MS + 100)));
  });

  it('takes no identity that is in use', () => {
    const set = (call: string): ProgressEntry => ({ type: 'timer-set', call, delayMs: 5 });
    given(...active, sleepSet('1'))
      .when(report(set('1')))
      .thenRejected('CallConflict');
    given(requested(), deadlineSet(), assigned())
      .when(report(set('deadline')))
      .thenRejected('CallConflict');
  });

  it('may be cancelled by the code', () => {
    const cancelled = first(fact('TimerCancelled', { timerId: '1' }));
    given(...active, sleepSet('1'))
      .when(report({ type: 'timer-cancelled', call: '1' }))
      .then(cancelled);
    given(...active, sleepSet('1'), cancelled)
      .when(progress({ seq: 2 }, { type: 'timer-cancelled', call: '1' }))
      .thenRejected('UnknownCall');
  });

  it('may be cancelled although it has fired meanwhile: nothing is delivered then', () => {
    const fired = [...active, sleepSet('1'), fact('TimerFired', { timerId: '1', dueAtMs: START_MS })];
    const cancelled = first(fact('TimerCancelled', { timerId: '1' }));
    given(...fired)
      .when(report({ type: 'timer-cancelled', call: '1' }))
      .then(cancelled);
    given(...fired, cancelled)
      .when(progress({ seq: 2 }, { type: 'delivered', call: '1', revision: 3 }))
      .thenRejected('UnknownCall');
  });

  it('is all that the code may cancel: neither the deadline nor a retry', () => {
    given(requested(), deadlineSet(), assigned())
      .when(report({ type: 'timer-cancelled', call: 'deadline' }))
      .thenRejected('UnknownCall');
    const retry = fact('TimerSet', { timerId: 'retry-1-1', purpose: 'retry', call: '1', dueAtMs: START_MS });
    const failed = fact('EffectFailed', { call: '1', attempt: 1, error: retryable, retryAtMs: START_MS });
    given(...active, intendedEffect('1'), failed, retry)
      .when(report({ type: 'timer-cancelled', call: 'retry-1-1' }))
      .thenRejected('UnknownCall');
  });

  it('lets the worker let go of the run', () => {
    given(...active)
      .when(report({ type: 'timer-set', call: '1', delayMs: 1_000 }, suspend))
      .then(first(sleepSet('1')), letGo);
    given(...active, sleepSet('1'), letGo).thenPending([]);
  });

  it('that is over wakes the run in the same breath', () => {
    const fired = fact('TimerFired', { timerId: '1', dueAtMs: START_MS });
    given(...active, sleepSet('1'), fired)
      .when(report(suspend))
      .then(letGo, woken);
  });

  it('is no reason to let go while an effect is due', () => {
    given(...active, intendedEffect('1'))
      .when(report(suspend))
      .then(letGo, woken);
  });
});
