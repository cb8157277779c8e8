import type { Executor, RunEvent } from '@perdure/run-contract';
import { assigned, fact, intendedEffect, progress, requested, START_MS, toolManifest } from '@perdure/testing';
import { CANCEL_GRACE_MS, EFFECT_SKEW_MS, EFFECT_START_WITHIN_MS, EXECUTIONS_MAX } from '../bounds';
import { decider, given, of, own, stateAfter, TIMEOUT_MS, WOKEN } from './effect.world';
import { claimAnswerOf } from './decide-pooled';
import { pooledWork } from './pooled';
import type { DomainCommand } from '../run.commands';

/** Effects of a tool with a pool of its own, which whoever holds the run has no part in. */
const EXECUTOR: Executor = {
  pool: 'payments',
  workerId: 'teller-1',
  sessionId: 'teller-session',
  buildId: 'build-of-payments',
  ticketHash: 'h1',
};
const OTHER: Executor = { ...EXECUTOR, workerId: 'teller-2', sessionId: 'other-session' };
const HASH = 'hash-of-args';
type Class = 'pure' | 'idempotent' | 'probeable' | 'irreversible';

/** As the tool worker's own build has it. */
const registered = (effectClass: Class) =>
  toolManifest('pay', { effectClass, pool: 'payments', timeoutMs: TIMEOUT_MS, hasProbe: effectClass === 'probeable' });
const by = (effectClass: Class, command: DomainCommand, nowMs = START_MS) => {
  const code = { ...own(command).code, tool: (name: string) => (name === 'pay' ? registered(effectClass) : undefined) };
  return { ...own(command, nowMs), code };
};
const claim = (change: Partial<Extract<DomainCommand, { type: 'ClaimEffect' }>> = {}): DomainCommand => ({
  type: 'ClaimEffect',
  ...of,
  executor: EXECUTOR,
  isOffered: true,
  argsHash: HASH,
  ...change,
});
const report = (
  entry: Extract<DomainCommand, { type: 'ReportEffect' }>['entry'],
  executor = EXECUTOR,
): Extract<DomainCommand, { type: 'ReportEffect' }> => ({ type: 'ReportEffect', ...of, executor, isOffered: true, entry });
const result = { type: 'effect-result' as const, call: '1', attempt: 1, outcome: { ok: true as const, value: 'paid' } };
const lose: DomainCommand = { type: 'LoseExecution', call: '1', executionId: 'x1' };

const intended = [requested(), assigned(), intendedEffect('1', { effectClass: 'pure', pool: 'payments' })];
const startByMs = START_MS + EFFECT_START_WITHIN_MS;
const overByMs = startByMs + TIMEOUT_MS + EFFECT_SKEW_MS;
const dispatched = (effectClass: Class) =>
  fact('EffectDispatched', {
    ...of,
    startByMs,
    overByMs,
    hasProbe: effectClass === 'probeable',
    executor: EXECUTOR,
    effectClass,
  });
const suspended = fact('RunSuspended', { epoch: 1, pooledEffects: 1 });
const underWay = (effectClass: Class): readonly RunEvent[] => [...intended, dispatched(effectClass)];
const asleep = (effectClass: Class): readonly RunEvent[] => [...underWay(effectClass), suspended];
const confirmed = fact('EffectConfirmed', { call: '1', attempt: 1, result: 'paid' });

describe('the claim of an effect of another pool', () => {
  it.each(['pure', 'idempotent', 'probeable', 'irreversible'] as const)(
    'is granted once an attempt, and takes the class %s from the build of who executes, whatever was intended',
    (effectClass) => {
      given(...intended)
        .when(by(effectClass, claim()))
        .then(dispatched(effectClass));
      given(...underWay(effectClass))
        .when(by(effectClass, claim()))
        .then();
      given(...underWay(effectClass))
        .when(by(effectClass, claim({ executionId: 'x2', executor: OTHER })))
        .thenRejected('EffectAlreadyClaimed');
    },
  );

  it('is answered with a grant while that very execution is dispatched, and never with another', () => {
    const command = {
      type: 'ClaimEffect' as const,
      ...of,
      workerId: 'teller-1',
      sessionId: 'teller-session',
      ticket: 't1',
      argsHash: HASH,
    };
    expect(claimAnswerOf(command, stateAfter(...underWay('idempotent')))).toEqual({
      mayBegin: [{ ...of, startWithinMs: EFFECT_START_WITHIN_MS }],
    });
    expect(claimAnswerOf({ ...command, executionId: 'x2' }, stateAfter(...underWay('idempotent')))).toEqual({});
    expect(claimAnswerOf(command, stateAfter(...intended))).toEqual({});
  });

  it('is granted also when nobody holds the run', () => {
    given(...intended, suspended)
      .when(by('probeable', claim()))
      .then(dispatched('probeable'));
  });

  it.each([
    ['of another pool', by('pure', claim({ executor: { ...EXECUTOR, pool: 'default' } })), 'NotTheExecutor'],
    [
      'whose build does not host the tool',
      { ...own(claim()), code: { ...own(claim()).code, tool: () => undefined } },
      'NotTheExecutor',
    ],
    [
      'whose build only names the tool',
      { ...own(claim()), code: { ...own(claim()).code, tool: () => ({ ...registered('pure'), declaredOnly: true }) } },
      'NotTheExecutor',
    ],
    ['that was not asked', by('pure', claim({ isOffered: false })), 'NotTheExecutor'],
    ['of other arguments', by('pure', claim({ argsHash: 'another' })), 'ArgumentsChanged'],
    ['of another attempt', by('pure', claim({ attempt: 2 })), 'EffectNotDue'],
    ['of another branch', by('pure', claim({ branch: 1 })), 'EffectNotDue'],
    ['of a call that is not open', by('pure', claim({ call: '2' })), 'EffectNotDue'],
  ] as const)('is refused to a worker %s', (_, command, code) => {
    given(...intended)
      .when(command)
      .thenRejected(code);
  });

  it('is refused while the run is cancelled, is to pause, or is paused', () => {
    const cancel = fact('RunCancelRequested', { reason: 'r', commandId: 'c', requestedAtMs: START_MS });
    const pause = fact('RunPauseRequested', { reason: 'r', commandId: 'c', requestedAtMs: START_MS });
    for (const held of [[cancel], [pause], [suspended, fact('RunPaused', { reason: 'r', pooledEffects: 1 })]])
      given(...intended, ...held)
        .when(by('pure', claim()))
        .thenRejected('EffectNotDue');
  });

  it('is not the business of the worker that holds the run, whatever it says of it', () => {
    for (const entry of [{ type: 'effect-claimed' as const, ...of }, result, { type: 'effect-not-started' as const, ...of }])
      given(...underWay('idempotent'))
        .when(progress({}, entry))
        .thenRejected('NotTheExecutor');
  });
});

describe('what becomes of an effect of another pool', () => {
  it('is a fact that the code is given when it has come to rest, and wakes the run', () => {
    given(...asleep('probeable'))
      .when(by('probeable', report(result)))
      .then(confirmed, WOKEN);
    given(...underWay('probeable'))
      .when(by('probeable', report(result)))
      .then(confirmed);
    expect(stateAfter(...underWay('probeable'), confirmed).inbound).toMatchObject([
      { call: '1', outcome: { ok: true, value: 'paid' } },
    ]);
  });

  it('is reported once: a repeat, and what was overtaken, changes nothing', () => {
    given(...underWay('idempotent'), confirmed)
      .when(by('idempotent', report(result)))
      .then();
    const lost = fact('EffectLost', { ...of, workerId: 'teller-1', losses: 1 });
    given(...underWay('idempotent'), lost)
      .when(by('idempotent', report(result)))
      .then();
  });

  it('is not for another worker to say, not even of the same pool', () => {
    given(...underWay('idempotent'))
      .when(by('idempotent', report(result, OTHER)))
      .thenRejected('NotTheExecutor');
    given(...underWay('idempotent'))
      .when(by('idempotent', report(result, { ...EXECUTOR, ticketHash: 'of another ticket' })))
      .thenRejected('NotTheExecutor');
  });

  it('is not for a worker to say that was not asked, where nothing was claimed', () => {
    const error = { code: 'InvalidArguments', message: 'no', reaction: 'terminal' as const };
    given(...intended)
      .when(by('idempotent', { ...report({ ...result, outcome: { ok: false, error } }), isOffered: false }))
      .thenRejected('NotTheExecutor');
  });

  it('may be said by whoever was offered it, if its arguments do not fit: nothing was begun', () => {
    const error = { code: 'InvalidArguments', message: 'no', reaction: 'terminal' as const };
    given(...intended)
      .when(by('idempotent', report({ ...result, outcome: { ok: false, error } }, OTHER)))
      .then(fact('EffectFailed', { call: '1', attempt: 1, error }));
    given(...intended)
      .when(by('idempotent', report(result, OTHER)))
      .then();
  });

  it('is tried again when its tool says so, without waking the run for that', () => {
    const error = { code: 'Busy', message: 'later', reaction: 'retryable' as const };
    const retryAtMs = START_MS + 50;
    const failed = fact('EffectFailed', { call: '1', attempt: 1, error, retryAtMs });
    const timer = fact('TimerSet', { timerId: 'retry-1-1', purpose: 'retry', call: '1', dueAtMs: retryAtMs });
    given(...asleep('idempotent'))
      .when(by('idempotent', report({ ...result, outcome: { ok: false, error } })))
      .then(failed, timer);
    given(...asleep('idempotent'), failed, timer)
      .when(own({ type: 'FireTimer', timerId: 'retry-1-1' }, retryAtMs))
      .then(fact('TimerFired', { timerId: 'retry-1-1', dueAtMs: retryAtMs }));
  });
});

describe('the loss of a worker that executes', () => {
  it.each(['pure', 'idempotent'] as const)('makes what is %s due again as the next attempt', (effectClass) => {
    const lost = fact('EffectLost', { ...of, workerId: 'teller-1', losses: 1 });
    given(...asleep(effectClass))
      .when(by(effectClass, lose))
      .then(lost);
    expect(pooledWork(stateAfter(...asleep(effectClass), lost))).toMatchObject([{ do: 'run', open: { attempt: 2 } }]);
  });

  it('makes what can be asked unknown until its destination is asked, by whichever worker of the pool', () => {
    const unknown = fact('EffectUnknown', { ...of, because: 'worker-lost' });
    const timer = fact('TimerSet', { timerId: 'probe-1-1-1', purpose: 'probe', call: '1', dueAtMs: overByMs });
    const fired = fact('TimerFired', { timerId: 'probe-1-1-1', dueAtMs: overByMs });
    given(...asleep('probeable'))
      .when(by('probeable', lose))
      .then(unknown, timer);
    const due = [...asleep('probeable'), unknown, timer, fired];
    expect(pooledWork(stateAfter(...due))).toMatchObject([{ do: 'probe' }]);
    const absent = { type: 'probe-result' as const, ...of, probe: 1, found: { verdict: 'absent' as const } };
    given(...due)
      .when(by('probeable', report(absent, OTHER)))
      .then(fact('EffectReconciled', { ...of, verdict: 'absent', by: 'probe' }));
  });

  it('asks a person about what cannot be asked', () => {
    const decision = decider.decide(by('irreversible', lose), stateAfter(...asleep('irreversible')));
    expect(decision).toMatchObject({
      accepted: [{ type: 'EffectUnknown' }, { type: 'EffectQuestioned', data: { because: 'no-probe' } }],
    });
  });

  it('of one after another ends the effect: it may be the effect that ends them', () => {
    const losses = EXECUTIONS_MAX - 1;
    const again = Array.from({ length: losses }, (_, index) => [
      fact('EffectDispatched', { ...dispatched('idempotent').data, attempt: index + 1 }),
      fact('EffectLost', { ...of, attempt: index + 1, workerId: 'teller-1', losses: index + 1 }),
    ]).flat();
    const last = fact('EffectDispatched', { ...dispatched('idempotent').data, attempt: losses + 1 });
    const decision = decider.decide(by('idempotent', lose), stateAfter(...intended, ...again, last));
    expect(decision).toMatchObject({ accepted: [{ type: 'EffectFailed', data: { error: { code: 'ToolWorkersLost' } } }] });
  });

  it('is not the loss of the worker that holds the run: what others execute goes on', () => {
    given(...underWay('irreversible'))
      .when(own({ type: 'LoseActivation', epoch: 1, reason: 'worker-lost' }))
      .then(fact('ActivationLost', { epoch: 1, reason: 'worker-lost' }));
  });
});

const PAY = { call: '1', what: 'pay' };
const NONE = { undone: [], notUndone: [], stays: [], unknown: [] };

describe('the end of a run with effects of another pool under way', () => {
  const requestedCancel = fact('RunCancelRequested', {
    reason: 'enough',
    commandId: own(lose).at.commandId,
    requestedAtMs: START_MS,
  });

  it('waits for them when it is cancelled, for a while', () => {
    given(...asleep('probeable'))
      .when(own({ type: 'CancelRun', reason: 'enough' }))
      .then(requestedCancel);
    const state = [...asleep('probeable'), requestedCancel];
    expect(pooledWork(stateAfter(...state))).toMatchObject([{ do: 'watch', isToStop: true }]);
    given(...state).thenPending([{ type: 'EnforceCancel', epoch: 1, atMs: START_MS + CANCEL_GRACE_MS }]);
    given(...state)
      .when(by('probeable', report(result)))
      .then(confirmed, fact('RunCancelled', { reason: 'enough', endedAtMs: START_MS, effects: { ...NONE, stays: [PAY] } }));
  });

  it('says that nobody knows of them when it comes first', () => {
    given(...asleep('probeable'))
      .when(own({ type: 'TerminateRun', reason: 'now' }))
      .then(
        fact('EffectUnknown', { ...of, because: 'run-ended' }),
        fact('RunTerminated', { reason: 'now', leftOpen: [PAY], endedAtMs: START_MS, effects: { ...NONE, unknown: [PAY] } }),
      );
  });
});
