import { fold, InvariantViolated } from '@perdure/kernel';
import type { RunEvent } from '@perdure/run-contract';
import { assigned, commandIdAt, decision, fact, intendedEffect, lost, requested, sleepSet, START_MS } from '@perdure/testing';
import { evolve } from './run.evolve';
import { noRun } from './run.state';

const active = [requested(), assigned()];
const ended = [...active, fact('RunCompleted', { output: 1, endedAtMs: START_MS })];
const suspended = [...active, fact('RunSuspended', { epoch: 1 })];
const divergence = { call: '1', expected: 'a', found: 'b', position: 0 };
const error = { code: 'Broken', message: 'never', reaction: 'terminal' as const };
const delivered = (revision: number) => fact('StepsRecorded', { entries: [{ type: 'delivered', call: '1', revision }] });

const progressed = (attempt: number) => fact('EffectProgressed', { call: '1', attempt, detail: 1 });
const execution = { call: '1', attempt: 1, executionId: 'x' };
const claimed = [...active, intendedEffect('1', { effectClass: 'irreversible' })];
const bounds = { startByMs: 1, overByMs: 2 };
const dispatched = fact('EffectDispatched', { ...execution, ...bounds, hasProbe: false });
const unknown = fact('EffectUnknown', { ...execution, because: 'timed-out' });
const questioned = fact('EffectQuestioned', {
  ...execution,
  ...bounds,
  tool: 'pay',
  effectClass: 'irreversible',
  args: 1,
  because: 'no-probe',
  why: 'w',
});

describe('a history that cannot have happened is not shrugged at', () => {
  it.each<[string, readonly RunEvent[], RunEvent]>([
    ['begins with anything but a request', [], assigned()],
    ['holds two requests', active, requested()],
    ['goes on after the end', ended, assigned(2)],
    ['ends twice', ended, fact('RunFailed', { error, endedAtMs: START_MS })],
    ['assigns an epoch twice', active, assigned(1)],
    ['skips an epoch', [requested()], assigned(2)],
    ['assigns a run that a worker holds', active, assigned(2)],
    ['assigns a run that waits', suspended, assigned(2)],
    ['loses an activation that is not there', [requested()], lost(1)],
    ['loses another epoch', active, lost(2)],
    ['quarantines a run that a worker holds', active, fact('RunQuarantined', { epoch: 1, activationsLost: 3 })],
    ['suspends a run that nobody holds', [requested()], fact('RunSuspended', { epoch: 1 })],
    ['suspends another epoch', active, fact('RunSuspended', { epoch: 2 })],
    ['diverges where no code runs', [requested()], fact('CodeDiverged', { epoch: 1, buildId: 'b', divergence })],
    ['wakes a run that is awake', active, fact('RunWoken', {})],
    ['resumes a run that is not paused', active, fact('RunResumed', { reason: '', commandId: commandIdAt(0) })],
    ['refuses a run that was assigned', active, fact('RunRefused', { code: 'c', message: 'm', endedAtMs: 1 })],
    ['confirms an effect that was not intended', active, fact('EffectConfirmed', { call: '1', attempt: 1, result: 1 })],
    ['fails an effect that was not intended', active, fact('EffectFailed', { call: '1', attempt: 1, error })],
    ['tells how far has come what was not intended', active, progressed(1)],
    ['tells how far has come another attempt', [...active, intendedEffect('1')], progressed(2)],
    [
      'tells how far has come what waits for a retry',
      [...active, intendedEffect('1'), fact('EffectFailed', { call: '1', attempt: 1, error, retryAtMs: 1 })],
      progressed(1),
    ],
    ['dispatches what was not intended', active, dispatched],
    ['dispatches an attempt twice', [...claimed, dispatched], dispatched],
    ['dispatches where nobody works', [...claimed, lost(1)], dispatched],
    ['loses track of what was not dispatched', claimed, fact('EffectUnknown', { ...execution, because: 'timed-out' })],
    ['asks about what is under way', [...claimed, dispatched], questioned],
    [
      'reconciles what is under way',
      [...claimed, dispatched],
      fact('EffectReconciled', { ...execution, verdict: 'absent', by: 'p' }),
    ],
    [
      'reconciles another execution',
      [...claimed, dispatched, unknown, questioned],
      fact('EffectReconciled', { ...execution, executionId: 'y', verdict: 'absent', by: 'p' }),
    ],
    ['probes before it is due', [...claimed, dispatched, unknown], fact('EffectProbed', { ...execution, probe: 1, error })],
    [
      'completes a model call that was not intended',
      active,
      fact('ModelCallCompleted', { call: '1', attempt: 1, decision: decision() }),
    ],
    ['intends a call twice', [...active, intendedEffect('1')], intendedEffect('1')],
    ['fires a timer that was not set', active, fact('TimerFired', { timerId: '1', dueAtMs: 1 })],
    [
      'fires a timer twice',
      [...active, sleepSet('1'), fact('TimerFired', { timerId: '1', dueAtMs: 1 })],
      fact('TimerFired', { timerId: '1', dueAtMs: 1 }),
    ],
    ['sets a timer twice', [...active, sleepSet('1')], sleepSet('1')],
    ['cancels a timer that was not set', active, fact('TimerCancelled', { timerId: '1' })],
    ['delivers what has not come', [...active, sleepSet('1')], delivered(2)],
    ['retries a sleep', [...active, sleepSet('1')], fact('EffectFailed', { call: '1', attempt: 1, error, retryAtMs: 1 })],
  ])('%s', (_, history, next) => {
    const state = fold({ evolve }, noRun, history);
    expect(() => evolve(state, next)).toThrow(InvariantViolated);
  });
});

it('the revision counts every fact', () => {
  expect(fold({ evolve }, noRun, [...active, sleepSet('1')]).revision).toBe(2);
  expect(fold({ evolve }, noRun, ended).revision).toBe(2);
});
