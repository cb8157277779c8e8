import type { ProgressEntry, RunEvent } from '@perdure/run-contract';
import {
  agentManifest,
  assigned,
  commandIdAt,
  decision,
  fact,
  intendedEffect,
  knownCode,
  lost,
  reported,
  requested,
} from '@perdure/testing';
import { EXECUTIONS_MAX, PROBE_RETRY } from '../bounds';
import {
  given,
  OVER_BY_MS,
  of,
  busy,
  report,
  own,
  byUser,
  intended,
  dispatched,
  underWay,
  probeAt,
  unknown,
  questioned,
  WOKEN,
  stateAfter,
} from './effect.world';
import type { DomainCommand } from '../run.commands';
import { instructionsOf } from '../run.effects';
import { viewOf } from '../run.view';

describe('a probe', () => {
  const waiting = [...underWay('probeable'), unknown, probeAt(1, OVER_BY_MS), lost(1), assigned(2)];
  const due = [...waiting, fact('TimerFired', { timerId: 'probe-1-1-1', dueAtMs: OVER_BY_MS })];
  const second = (...events: readonly RunEvent[]) => events.map((event) => reported(2, 1, event));
  const found = (finding: Extract<ProgressEntry, { type: 'probe-result' }>['found'], probe = 1) =>
    report('probeable', { type: 'probe-result', ...of, probe, found: finding }, { epoch: 2, nowMs: OVER_BY_MS });

  it('is instructed when the execution is over, not before', () => {
    expect(instructionsOf(stateAfter(...waiting))).toEqual([]);
    given(...waiting)
      .when(own({ type: 'FireTimer', timerId: 'probe-1-1-1' }, OVER_BY_MS - 1))
      .thenRejected('TimerNotDue');
    expect(instructionsOf(stateAfter(...due))).toEqual([
      { do: 'probe-tool', call: '1', tool: 'pay', args: { amount: 5 }, attempt: 1, executionId: 'x1', probe: 1 },
    ]);
  });

  it('wakes a run that has let go', () => {
    given(...waiting, fact('RunSuspended', { epoch: 2 }))
      .when(own({ type: 'FireTimer', timerId: 'probe-1-1-1' }, OVER_BY_MS))
      .then(fact('TimerFired', { timerId: 'probe-1-1-1', dueAtMs: OVER_BY_MS }), WOKEN);
  });

  it('that it happened confirms the effect', () => {
    given(...due)
      .when(found({ verdict: 'happened', result: 'paid' }))
      .then(
        ...second(
          fact('EffectReconciled', { ...of, verdict: 'happened', by: 'probe' }),
          fact('EffectConfirmed', { call: '1', attempt: 1, result: 'paid' }),
        ),
      );
  });

  it('that it did not makes the next attempt due', () => {
    const reconciled = fact('EffectReconciled', { ...of, verdict: 'absent', by: 'probe' });
    given(...due)
      .when(found({ verdict: 'absent' }))
      .then(...second(reconciled));
    expect(instructionsOf(stateAfter(...due, reconciled))).toMatchObject([{ do: 'run-tool', attempt: 2, mustClaim: true }]);
  });

  it('that cannot say is made again later, under back-off', () => {
    const retryAtMs = OVER_BY_MS + 500;
    given(...due)
      .when(found({ verdict: 'unknown', error: busy }))
      .then(...second(fact('EffectProbed', { ...of, probe: 1, error: busy, retryAtMs }), probeAt(2, retryAtMs)));
  });

  it('that has not found out in its tries leaves it to a person', () => {
    const tries = PROBE_RETRY.attemptsMax;
    const history = [...due];
    for (let probe = 1; probe < tries; probe += 1)
      history.push(
        fact('EffectProbed', { ...of, probe, error: busy, retryAtMs: OVER_BY_MS }),
        probeAt(probe + 1, OVER_BY_MS),
        fact('TimerFired', { timerId: `probe-1-1-${probe + 1}`, dueAtMs: OVER_BY_MS }),
      );
    const why = `The probe of pay did not find out in ${tries} tries; at last: Busy: later`;
    given(...history)
      .when(found({ verdict: 'unknown', error: busy }, tries))
      .then(
        ...second(
          fact('EffectProbed', { ...of, probe: tries, error: busy }),
          questioned({ effectClass: 'probeable', because: 'undecided', why }),
        ),
      );
  });

  it('of effects that vanish again and again leaves it to a person', () => {
    const history: RunEvent[] = [...intended('probeable')];
    for (let attempt = 1; attempt <= EXECUTIONS_MAX; attempt += 1) {
      history.push(
        dispatched('probeable', { attempt }),
        fact('EffectUnknown', { ...of, attempt, because: 'timed-out', error: busy }),
        probeAt(1, OVER_BY_MS, attempt),
        fact('TimerFired', { timerId: `probe-1-${attempt}-1`, dueAtMs: OVER_BY_MS }),
      );
      if (attempt < EXECUTIONS_MAX) history.push(fact('EffectReconciled', { ...of, attempt, verdict: 'absent', by: 'probe' }));
    }
    const entry: ProgressEntry = { type: 'probe-result', ...of, attempt: EXECUTIONS_MAX, probe: 1, found: { verdict: 'absent' } };
    const [asked] = given(...history)
      .when(report('probeable', entry))
      .accepted();
    expect(asked).toMatchObject({ type: 'EffectQuestioned', data: { because: 'never-happens' } });
  });

  it('is heard once, of the execution that was asked about', () => {
    given(...due)
      .when(found({ verdict: 'absent' }, 2))
      .thenRejected('UnknownCall');
    given(...waiting)
      .when(found({ verdict: 'absent' }))
      .thenRejected('UnknownCall');
  });
});

describe('a question', () => {
  const asked = [...underWay('irreversible'), unknown, questioned(), lost(1), assigned(2), fact('RunSuspended', { epoch: 2 })];
  const resolve = (
    resolution: 'happened' | 'absent' | 'failed',
    more: { readonly result?: unknown; readonly reason?: string } = {},
    nowMs = OVER_BY_MS,
  ) => own({ type: 'ResolveEffect', call: '1', resolution, by: byUser, ...more }, nowMs);
  const reconciled = (verdict: 'happened' | 'absent' | 'failed', reason?: string) =>
    fact('EffectReconciled', {
      ...of,
      verdict,
      by: 'user:ada',
      ...(reason === undefined ? {} : { reason }),
      commandId: commandIdAt(OVER_BY_MS, 7),
    });
  const confirmed = fact('EffectConfirmed', { call: '1', attempt: 1, result: 'paid' });

  it('is a promise of a person, with all that is known', () => {
    const { waitingOn } = viewOf({ tenant: 'acme', runId: 'r' }, stateAfter(...asked));
    expect(waitingOn).toMatchObject([{ promise: 'answer', keeper: 'person', id: '1' }]);
    expect(waitingOn[0]?.detail).toContain('pay {"amount":5}');
    expect(waitingOn[0]?.closedBy).toContain('effects resolve');
  });

  it('is answered with what happened, by name, which wakes the run', () => {
    given(...asked)
      .when(resolve('happened', { result: 'paid', reason: 'seen' }))
      .then(reconciled('happened', 'seen'), confirmed, WOKEN);
  });

  it('brings its answer to the code as a fact that arrives, in the order of the journal', () => {
    const state = stateAfter(...asked, reconciled('happened'), confirmed);
    expect(state.inbound).toMatchObject([{ call: '1', outcome: { ok: true, value: 'paid' } }]);
    const { revision } = state;
    given(...asked, reconciled('happened'), confirmed, WOKEN, assigned(3))
      .when(report('irreversible', { type: 'delivered', call: '1', revision } as ProgressEntry, { epoch: 3 }))
      .then(reported(3, 1, fact('StepsRecorded', { entries: [{ type: 'delivered', call: '1', revision }] })));
  });

  it('is answered with a failure, which the code is given', () => {
    const [, failed] = given(...asked)
      .when(resolve('failed', { reason: 'the bank refused' }))
      .accepted();
    expect(failed).toMatchObject({
      type: 'EffectFailed',
      data: { error: { message: expect.stringContaining('the bank refused') as string } },
    });
  });

  it('is answered with absent only when the execution is over: else two could be under way', () => {
    given(...asked)
      .when(resolve('absent', {}, OVER_BY_MS - 1))
      .thenRejected('EffectMayStillRun');
    given(...asked)
      .when(resolve('absent'))
      .then(reconciled('absent'), WOKEN);
    expect(instructionsOf(stateAfter(...asked, reconciled('absent')))).toMatchObject([{ attempt: 2, mustClaim: true }]);
  });

  it('is answered once: the same answer again changes nothing, a new one is refused', () => {
    const answered = [...asked, reconciled('happened'), confirmed, WOKEN];
    given(...answered)
      .when(resolve('happened'))
      .thenNothing();
    given(...answered)
      .when({ ...resolve('absent'), at: { nowMs: OVER_BY_MS, commandId: commandIdAt(OVER_BY_MS, 8), fraction: 0 } })
      .thenRejected('EffectNotInQuestion');
  });

  it.each([
    ['nothing was begun', intended('irreversible')],
    ['it is under way', underWay('irreversible')],
    ['a probe will find out', [...underWay('probeable'), unknown, probeAt(1, OVER_BY_MS), lost(1)]],
  ])('is not open while %s', (_, facts) => {
    given(...facts)
      .when(resolve('absent'))
      .thenRejected('EffectNotInQuestion');
  });

  it('is not answered by a worker', () => {
    given(...asked)
      .when(own({ type: 'ResolveEffect', call: '1', resolution: 'happened', by: { kind: 'worker', id: 'w' } }))
      .thenRejected('OnlyAPersonMay');
  });

  it('of an agent goes on with the next turn, and the outcome goes to whoever holds the conversation', () => {
    const turn = { kind: 'agent' as const, name: 'helper' };
    const call = { ...of, call: 't1.0' };
    const calls = [{ toolCallId: 'c', tool: 'pay', args: { amount: 5 } }];
    const history = [
      requested(turn),
      assigned(),
      fact('ModelCallIntended', { call: 't1', turn: 1, model: 'm' }),
      fact('ModelCallCompleted', { call: 't1', attempt: 1, decision: decision({ toolCalls: calls }) }),
      intendedEffect('t1.0', { effectClass: 'irreversible', toolCallId: 'c' }),
      dispatched('irreversible', call),
      fact('EffectUnknown', { ...call, because: 'activation-ended' }),
      questioned({ ...call, toolCallId: 'c' }),
      lost(1),
      assigned(2),
      fact('RunSuspended', { epoch: 2 }),
    ];
    const answer = { ...resolve('happened', { result: 1 }), code: knownCode(agentManifest(), []) };
    const command: DomainCommand = { type: 'ResolveEffect', call: 't1.0', resolution: 'happened', by: byUser, result: 1 };
    const facts = given(...history)
      .when({ ...answer, command })
      .accepted();
    expect(facts.map(({ type }) => type)).toEqual(['EffectReconciled', 'EffectConfirmed', 'ModelCallIntended', 'RunWoken']);
    expect(stateAfter(...history, ...facts).inbound).toMatchObject([{ call: 't1.0' }]);
    const decided = fact('ModelCallCompleted', { call: 't2', attempt: 1, decision: decision() });
    expect(stateAfter(...history, ...facts, assigned(3), decided).inbound).toEqual([]);
  });
});
