import { fold } from '@perdure/kernel';
import type { ProgressEntry, RunEvent } from '@perdure/run-contract';
import { assigned, commandIdAt, fact, intendedEffect, lost, requested, START_MS } from '@perdure/testing';
import { EFFECT_START_WITHIN_MS } from '../bounds';
import {
  decider,
  given,
  OVER_BY_MS,
  of,
  busy,
  report,
  own,
  intended,
  dispatched,
  underWay,
  probeAt,
  unknown,
  questioned,
  CLASSES,
  first,
  stateAfter,
} from './effect.world';
import { grantedBy, instructionsOf } from '../run.effects';
import { noRun } from '../run.state';
import { viewOf } from '../run.view';

describe('the claim of an effect that must not be doubled', () => {
  const claim: ProgressEntry = { type: 'effect-claimed', ...of };

  it.each(CLASSES)('is a fact before the answer lets it begin: %s', (effectClass) => {
    given(...intended(effectClass))
      .when(report(effectClass, claim))
      .then(...first(dispatched(effectClass)));
  });

  it('is answered with what may begin, and only that', () => {
    const command = { type: 'RecordProgress' as const, epoch: 1, seq: 1, entries: [claim] };
    expect(grantedBy(command, stateAfter(...underWay('probeable')))).toEqual([{ ...of, startWithinMs: EFFECT_START_WITHIN_MS }]);
    const other = { ...command, entries: [{ ...claim, executionId: 'x2' }] };
    expect(grantedBy(other, stateAfter(...underWay('probeable')))).toEqual([]);
    expect(grantedBy(command, stateAfter(...intended('probeable')))).toEqual([]);
    expect(grantedBy(command, stateAfter(...underWay('probeable'), unknown, lost(1)))).toEqual([]);
  });

  it('is made once an attempt: a repeat changes nothing, another execution is refused', () => {
    given(...underWay('irreversible'))
      .when(report('irreversible', claim))
      .thenNothing();
    given(...underWay('irreversible'))
      .when(report('irreversible', { ...claim, executionId: 'x2' }))
      .thenRejected('EffectAlreadyClaimed');
  });

  it('may be made again by another execution when the first did not begin', () => {
    const late = fact('EffectNotStarted', { ...of, reason: 'too-late' });
    given(...underWay('irreversible'))
      .when(report('irreversible', { type: 'effect-not-started', ...of }))
      .then(...first(late));
    given(...underWay('irreversible'), late)
      .when(report('irreversible', { ...claim, executionId: 'x2' }))
      .then(...first(dispatched('irreversible', { executionId: 'x2' })));
  });

  it.each([
    ['RunCancelRequested', 'cancel-requested'],
    ['RunPauseRequested', 'pause-requested'],
  ] as const)('is not granted after %s', (type, reason) => {
    const asked = fact(type, { reason: 'r', commandId: commandIdAt(1), requestedAtMs: START_MS });
    given(...intended('probeable'), asked)
      .when(report('probeable', claim))
      .then(...first(fact('EffectNotStarted', { ...of, reason })));
    expect(stateAfter(...intended('probeable'), asked, fact('EffectNotStarted', { ...of, reason })).calls.get('1')).toMatchObject(
      {
        execution: undefined,
      },
    );
  });

  it.each([
    ['a call that is not open', { ...claim, call: '2' }, 'UnknownCall'],
    ['another attempt', { ...claim, attempt: 2 }, 'UnknownCall'],
  ] as const)('of %s is refused', (_, entry, rejection) => {
    given(...intended('probeable'))
      .when(report('probeable', entry))
      .thenRejected(rejection);
  });

  it('is not for effects that may run twice', () => {
    given(requested(), assigned(), intendedEffect('1')).when(report('probeable', claim)).thenRejected('EffectNotClaimed');
  });

  it('is demanded by the instruction, and an execution under way is not instructed again', () => {
    expect(instructionsOf(stateAfter(...intended('irreversible')))).toMatchObject([{ do: 'run-tool', mustClaim: true }]);
    expect(instructionsOf(stateAfter(...underWay('irreversible')))).toEqual([]);
  });
});

describe('the result of a claimed effect', () => {
  const result = (outcome: Extract<ProgressEntry, { type: 'effect-result' }>['outcome']): ProgressEntry => ({
    type: 'effect-result',
    call: '1',
    attempt: 1,
    outcome,
  });

  it('is refused when nothing was claimed: an intention is not enough', () => {
    given(...intended('irreversible'))
      .when(report('irreversible', result({ ok: true, value: 1 })))
      .thenRejected('EffectNotClaimed');
  });

  it('may be a failure without a claim, since arguments can be wrong before anything begins', () => {
    const error = { code: 'InvalidArguments', message: 'no', reaction: 'terminal' as const };
    given(...intended('irreversible'))
      .when(report('irreversible', result({ ok: false, error })))
      .then(...first(fact('EffectFailed', { call: '1', attempt: 1, error })));
  });

  it('confirms it', () => {
    given(...underWay('irreversible'))
      .when(report('irreversible', result({ ok: true, value: 'paid' })))
      .then(...first(fact('EffectConfirmed', { call: '1', attempt: 1, result: 'paid' })));
  });

  it('that says that nothing happened is retried under the policy, and claimed anew', () => {
    const retryAtMs = START_MS + 50;
    const failed = [
      fact('EffectFailed', { call: '1', attempt: 1, error: busy, retryAtMs }),
      fact('TimerSet', { timerId: 'retry-1-1', purpose: 'retry', call: '1', dueAtMs: retryAtMs }),
    ];
    given(...underWay('irreversible'))
      .when(report('irreversible', result({ ok: false, error: busy })))
      .then(...first(...failed));
    const due = stateAfter(
      ...underWay('irreversible'),
      ...failed,
      fact('TimerFired', { timerId: 'retry-1-1', dueAtMs: retryAtMs }),
    );
    expect(instructionsOf(due)).toMatchObject([{ do: 'run-tool', attempt: 2, mustClaim: true }]);
  });

  it('is refused when it comes after the effect has become unknown', () => {
    given(...underWay('irreversible'), unknown, questioned())
      .when(report('irreversible', result({ ok: true, value: 1 })))
      .thenRejected('EffectNotClaimed');
  });

  it('may be that nobody knows', () => {
    const error = { code: 'SocketClosed', message: 'gone', reaction: 'terminal' as const };
    const entry: ProgressEntry = { type: 'effect-unknown', ...of, because: 'error', error };
    const fallen = fact('EffectUnknown', { ...of, because: 'error', error });
    given(...underWay('probeable'))
      .when(report('probeable', entry))
      .then(...first(fallen, probeAt(1, OVER_BY_MS)));
    given(...underWay('irreversible'))
      .when(report('irreversible', entry))
      .then(...first(fallen, questioned({ why: 'SocketClosed: gone. pay has no probe.' })));
    given(...underWay('irreversible'))
      .when(report('irreversible', { ...entry, executionId: 'x2' }))
      .thenRejected('UnknownCall');
  });
});

describe('an effect whose activation ends while it is under way', () => {
  const cancelAsked = fact('RunCancelRequested', { reason: 'r', commandId: commandIdAt(1), requestedAtMs: START_MS });
  const pauseAsked = fact('RunPauseRequested', { reason: 'r', commandId: commandIdAt(1), requestedAtMs: START_MS });
  const divergence = { call: '2', expected: 'a', found: 'b', position: 1 };
  const deadline = fact('TimerSet', { timerId: 'deadline', purpose: 'deadline', dueAtMs: START_MS });
  const twiceLost = [
    requested(),
    assigned(1),
    lost(1),
    assigned(2),
    lost(2),
    assigned(3),
    intendedEffect('1', { effectClass: 'probeable' }),
  ];

  it.each<[string, readonly RunEvent[], Parameters<ReturnType<typeof given>['when']>[0]]>([
    ['is lost', underWay('probeable'), own({ type: 'LoseActivation', epoch: 1, reason: 'worker-lost' })],
    ['is handed over', underWay('probeable'), report('probeable', { type: 'handed-over' })],
    ['is given up for a pause', [...underWay('probeable'), pauseAsked], own({ type: 'EnforcePause', epoch: 1 })],
    ['diverges', underWay('probeable'), report('probeable', { type: 'diverged', divergence })],
    ['is suspended', underWay('probeable'), report('probeable', { type: 'suspended' })],
    [
      'ends in quarantine',
      [...twiceLost, dispatched('probeable')],
      own({ type: 'LoseActivation', epoch: 3, reason: 'worker-lost' }),
    ],
  ])('is unknown in the same append when it %s, and will be probed when it is over', (_, facts, command) => {
    const [unknownNow, timer, ...rest] = given(...facts)
      .when(command)
      .accepted();
    expect(unknownNow).toMatchObject({ type: 'EffectUnknown', data: { ...of, because: 'activation-ended' } });
    expect(timer).toMatchObject(probeAt(1, OVER_BY_MS));
    expect(rest.length).toBeGreaterThan(0);
  });

  it.each<[string, readonly RunEvent[], Parameters<ReturnType<typeof given>['when']>[0]]>([
    ['RunCancelled', [...underWay('probeable'), cancelAsked], own({ type: 'EnforceCancel', epoch: 1 })],
    ['RunCancelled', [...underWay('probeable'), cancelAsked], report('probeable', { type: 'cancelled' })],
    ['RunTerminated', underWay('probeable'), own({ type: 'TerminateRun', reason: 'r' })],
    ['RunTimedOut', [...underWay('probeable'), deadline], own({ type: 'FireTimer', timerId: 'deadline' })],
    ['RunCompleted', underWay('probeable'), report('probeable', { type: 'completed', output: 1 })],
    ['RunFailed', underWay('probeable'), report('probeable', { type: 'failed', error: busy })],
  ])('is unknown before %s, is asked after by nobody, and is named in the view', (end, facts, command) => {
    const accepted = given(...facts)
      .when(command)
      .accepted();
    const types = accepted.map(({ type }) => type);
    expect(types.slice(-2)).toEqual(['EffectUnknown', end]);
    expect(types).not.toContain('TimerSet');
    const state = fold({ evolve: decider.evolve }, noRun, [...facts, ...accepted]);
    if (state.status !== 'ended') throw new Error('it has not ended');
    expect(viewOf({ tenant: 'acme', runId: 'r' }, state).unknownEffects).toEqual([{ call: '1', what: 'pay' }]);
  });

  it('is a question at once when it cannot be probed', () => {
    given(...underWay('irreversible'))
      .when(own({ type: 'LoseActivation', epoch: 1, reason: 'worker-lost' }))
      .then(unknown, questioned(), lost(1));
  });

  it('is due again when it was never dispatched', () => {
    given(...intended('irreversible'))
      .when(own({ type: 'LoseActivation', epoch: 1, reason: 'worker-lost' }))
      .then(lost(1));
    expect(instructionsOf(stateAfter(...intended('irreversible'), lost(1), assigned(2)))).toMatchObject([
      { attempt: 1, mustClaim: true },
    ]);
  });

  it('tells nothing any more: a result of its epoch is stale', () => {
    given(...underWay('irreversible'), unknown, questioned(), lost(1), assigned(2))
      .when(report('irreversible', { type: 'effect-result', call: '1', attempt: 1, outcome: { ok: true, value: 1 } }))
      .thenRejected('StaleEpoch');
  });
});
