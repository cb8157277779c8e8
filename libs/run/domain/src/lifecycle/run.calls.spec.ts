import type { ProgressEntry, RunEvent } from '@perdure/run-contract';
import {
  assigned,
  commandIdAt,
  deciderSpec,
  decision,
  fact,
  intendedEffect,
  knownCode,
  progress,
  reported,
  requested,
  sleepSet,
  specIdentities,
  START_MS,
  toolManifest,
  twoAttempts,
  workflowManifest,
} from '@perdure/testing';
import { runDecider } from '../run.decider';
import { pendingEffects } from '../run.effects';

const given = deciderSpec(runDecider(specIdentities), pendingEffects);
const report = (...entries: readonly ProgressEntry[]) => progress({}, ...entries);
const first = (event: RunEvent) => reported(1, 1, event);

const active = [requested(), assigned()];
const retryable = { code: 'Busy', message: 'later', reaction: 'retryable' as const };
const terminal = { code: 'Broken', message: 'never', reaction: 'terminal' as const };

describe('an effect', () => {
  const intend: ProgressEntry = {
    type: 'effect-intended',
    call: '1',
    tool: 'pay',
    args: { amount: 5 },
    argsHash: 'hash-of-args',
  };
  const result = (attempt: number, outcome: Extract<ProgressEntry, { type: 'effect-result' }>['outcome']): ProgressEntry => ({
    type: 'effect-result',
    call: '1',
    attempt,
    outcome,
  });
  const ok = result(1, { ok: true, value: 'paid' });
  const open = [...active, intendedEffect('1')];
  const failing = (attempt: number, retryAtMs: number) => [
    fact('EffectFailed', { call: '1', attempt, error: retryable, retryAtMs }),
    fact('TimerSet', { timerId: `retry-1-${attempt}`, purpose: 'retry', call: '1', dueAtMs: retryAtMs }),
  ];

  it('is recorded before it runs, with the class that its build registered', () => {
    given(...active)
      .when(report(intend))
      .then(first(intendedEffect('1')));
  });

  it('of a tool that the build does not hold is refused', () => {
    given(...active)
      .when(report({ ...intend, tool: 'nothing' } as ProgressEntry))
      .thenRejected('UnknownTool');
  });

  it('cannot be intended twice under one call', () => {
    given(...open)
      .when(report(intend))
      .thenRejected('CallConflict');
    given(...active)
      .when(report(intend, intend))
      .thenRejected('CallConflict');
    given(...active, sleepSet('1'))
      .when(report(intend))
      .thenRejected('CallConflict');
  });

  it('is confirmed once', () => {
    const confirmed = first(fact('EffectConfirmed', { call: '1', attempt: 1, result: 'paid' }));
    given(...open)
      .when(report(ok))
      .then(confirmed);
    given(...open, confirmed)
      .when(progress({ seq: 2 }, ok))
      .thenRejected('UnknownCall');
  });

  it('that nobody intended has no result', () => {
    given(...active)
      .when(report(ok))
      .thenRejected('UnknownCall');
    given(...active, sleepSet('1'))
      .when(report(ok))
      .thenRejected('UnknownCall');
    given(...open)
      .when(report(result(2, { ok: true, value: 'paid' })))
      .thenRejected('UnknownCall');
  });

  it('may be intended and confirmed in one report', () => {
    given(...active)
      .when(report(intend, ok))
      .then(first(intendedEffect('1')), first(fact('EffectConfirmed', { call: '1', attempt: 1, result: 'paid' })));
  });

  it('that failed for now is tried again by a durable timer, with jitter', () => {
    given(...open)
      .when(report(result(1, { ok: false, error: retryable })))
      .then(...failing(1, START_MS + 50).map(first));
  });

  it('waits at least as long as the destination asked', () => {
    const error = { ...retryable, retryAfterMs: 5_000 };
    const [failed, timer] = failing(1, START_MS + 5_000) as [RunEvent, RunEvent];
    given(...open)
      .when(report(result(1, { ok: false, error })))
      .then(first({ ...failed, data: { ...failed.data, error } } as RunEvent), first(timer));
  });

  it('waits no longer than a timer may run, whatever the destination asked', () => {
    const error = { ...retryable, retryAfterMs: Number.MAX_SAFE_INTEGER };
    const [, timer] = given(...open)
      .when(report(result(1, { ok: false, error })))
      .accepted();
    expect(Number.isSafeInteger((timer?.data as { dueAtMs: number }).dueAtMs)).toBe(true);
  });

  it('has no result while it waits for its next attempt', () => {
    given(...open, ...failing(1, START_MS + 50))
      .when(report(result(1, { ok: true, value: 'late' })))
      .thenRejected('UnknownCall');
  });

  it('is open again, with its next attempt, when the timer has fired', () => {
    const retried = [...open, ...failing(1, START_MS + 50), fact('TimerFired', { timerId: 'retry-1-1', dueAtMs: START_MS + 50 })];
    given(...retried)
      .when(report(ok))
      .thenRejected('UnknownCall');
    given(...retried)
      .when(report(result(2, { ok: true, value: 'paid' })))
      .then(first(fact('EffectConfirmed', { call: '1', attempt: 2, result: 'paid' })));
    given(...retried)
      .when(report(result(2, { ok: false, error: retryable })))
      .then(...failing(2, START_MS + 100).map(first));
  });

  it('fails for good when its attempts are used up, or when trying again cannot help', () => {
    const again = (attempt: number) => [
      ...failing(attempt, START_MS),
      fact('TimerFired', { timerId: `retry-1-${attempt}`, dueAtMs: START_MS }),
    ];
    given(...open, ...again(1), ...again(2))
      .when(report(result(3, { ok: false, error: retryable })))
      .then(first(fact('EffectFailed', { call: '1', attempt: 3, error: retryable })));
    given(...open)
      .when(report(result(1, { ok: false, error: terminal })))
      .then(first(fact('EffectFailed', { call: '1', attempt: 1, error: terminal })));
  });

  it('wakes a suspended run when its next attempt is due', () => {
    const waiting = [...open, ...failing(1, START_MS + 50), fact('RunSuspended', { epoch: 1 })];
    const command = { type: 'FireTimer' as const, timerId: 'retry-1-1' };
    given(...waiting)
      .when({ command, at: { nowMs: START_MS + 50, commandId: commandIdAt(0), fraction: 0 }, code: twoAttempts })
      .then(
        fact('TimerFired', { timerId: 'retry-1-1', dueAtMs: START_MS + 50 }),
        fact('RunWoken', { preferredWorkerId: 'worker-1' }),
      );
  });
});

describe('a model call of a workflow', () => {
  const intend: ProgressEntry = { type: 'model-intended', call: '1', model: 'scripted-1', promptHash: 'p' };
  const intended = fact('ModelCallIntended', { call: '1', model: 'scripted-1', promptHash: 'p' });
  const ended = (result: Extract<ProgressEntry, { type: 'model-result' }>['result'], attempt = 1): ProgressEntry => ({
    type: 'model-result',
    call: '1',
    attempt,
    result,
  });

  it('is intended once and completed once', () => {
    given(...active)
      .when(report(intend))
      .then(first(intended));
    given(...active, intended)
      .when(report(intend))
      .thenRejected('CallConflict');
    const completed = fact('ModelCallCompleted', { call: '1', attempt: 1, decision: decision({ text: 'yes' }) });
    given(...active, intended)
      .when(report(ended({ ok: true, decision: decision({ text: 'yes' }) })))
      .then(first(completed));
    given(...active)
      .when(report(ended({ ok: true, decision: decision() })))
      .thenRejected('UnknownCall');
  });

  it('fails to the code, after its attempts', () => {
    const failed = fact('ModelCallFailed', { call: '1', attempt: 1, error: retryable, retryAtMs: START_MS + 50 });
    const timer = fact('TimerSet', { timerId: 'retry-1-1', purpose: 'retry', call: '1', dueAtMs: START_MS + 50 });
    given(...active, intended)
      .when(report(ended({ ok: false, error: retryable })))
      .then(first(failed), first(timer));
    const retried = [...active, intended, failed, timer, fact('TimerFired', { timerId: 'retry-1-1', dueAtMs: START_MS + 50 })];
    given(...retried)
      .when(report(ended({ ok: false, error: retryable }, 2)))
      .then(first(fact('ModelCallFailed', { call: '1', attempt: 2, error: retryable })));
  });
});

describe('what the worker is told', () => {
  it('holds tools of an effect class only as registered', () => {
    const pure = {
      ...progress({}, { type: 'effect-intended', call: '1', tool: 'pay', args: 1, argsHash: 'h' }),
      code: knownCode(workflowManifest(), [toolManifest('pay', { effectClass: 'pure' })]),
    };
    given(...active)
      .when(pure)
      .then(first(intendedEffect('1', { effectClass: 'pure', args: 1, argsHash: 'h' })));
  });
});
