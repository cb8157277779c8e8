import type { ProgressEntry, RunEvent, RunEventOf } from '@perdure/run-contract';
import type { ToolManifest } from '@perdure/tenant-contract';
import {
  agentManifest,
  assigned,
  commandIdAt,
  deadlineSet,
  deciderSpec,
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
  workflowManifest,
} from '@perdure/testing';
import { UNDO_MS_MAX } from '../bounds';
import type { DomainCommand } from '../run.commands';
import { runDecider } from '../run.decider';
import { instructionsOf, pendingEffects } from '../run.effects';
import { evolve } from '../run.evolve';
import { noRun, type RunState } from '../run.state';

const decider = runDecider(specIdentities);
const given = deciderSpec(decider, pendingEffects);

const broken = { code: 'Broken', message: 'never', reaction: 'terminal' as const };
const compensation = { effectClass: 'idempotent' as const };
const UNDO_BY_MS = START_MS + UNDO_MS_MAX;
const RETRY = { attemptsMax: 2, initialDelayMs: 100, factor: 2, delayMaxMs: 1_000 };
const book = toolManifest('book', { compensation: { ...compensation, timeoutMs: 1_000, retry: RETRY } });
const rent: ToolManifest = { ...book, name: 'rent', effectClass: 'probeable', hasProbe: true };
const code = knownCode(workflowManifest(), [book, rent, toolManifest('pay')]);

const report = (seq: number, ...entries: readonly ProgressEntry[]) => ({ ...progress({ seq }, ...entries), code });
const inEpoch = (epoch: number, seq: number, ...entries: readonly ProgressEntry[]) => ({
  ...progress({ epoch, seq }, ...entries),
  code,
});
const own = (command: DomainCommand) => ({
  command,
  at: { nowMs: START_MS, commandId: commandIdAt(START_MS, 7), fraction: 0.5 },
  code,
});
const marked = (seq: number, ...events: readonly RunEvent[]) => events.map((event) => reported(1, seq, event));
const failed: ProgressEntry = { type: 'failed', error: broken };

const done = (call: string, tool = 'book'): RunEvent[] => [
  intendedEffect(call, { tool, args: { of: call }, ...(tool === 'pay' ? {} : { compensation }) }),
  fact('EffectConfirmed', { call, attempt: 1, result: `done ${call}` }),
];
const active = [requested(), assigned()];
const ending = (toUndo: number, outcome: RunEventOf<'RunEnding'>['data']['outcome'] = { status: 'failed', error: broken }) =>
  fact('RunEnding', { outcome, toUndo, endingAtMs: START_MS, undoByMs: UNDO_BY_MS });
const undoTimer = fact('TimerSet', { timerId: 'undo', purpose: 'undo', dueAtMs: UNDO_BY_MS });
const undoIntended = (call: string, data: Partial<RunEventOf<'EffectIntended'>['data']> = {}) =>
  intendedEffect(`undo-${call}`, { tool: 'book', args: { of: call }, undoes: call, ...data });
const WOKEN = fact('RunWoken', { preferredWorkerId: 'worker-1' });
/** Two effects to undo, taken up by another worker. */
const undoingTwo = [
  ...active,
  ...done('1'),
  ...done('2'),
  ending(2),
  undoTimer,
  undoIntended('2'),
  WOKEN,
  assigned(2, { workerId: 'worker-2' }),
];
const result = (
  call: string,
  outcome: Extract<ProgressEntry, { type: 'effect-result' }>['outcome'],
  attempt = 1,
): ProgressEntry => ({
  type: 'effect-result',
  call,
  attempt,
  outcome,
});
const ok = { ok: true as const, value: null };
const never = { ok: false as const, error: { code: 'Closed', message: 'for ever', reaction: 'terminal' as const } };
const none = { undone: [], notUndone: [], stays: [], unknown: [] };
const folded = (...facts: readonly RunEvent[]): RunState => facts.reduce<RunState>(evolve, noRun);

describe('a run that fails', () => {
  it('with nothing to undo ends at once, and names what stays', () => {
    given(...active, ...done('1', 'pay'))
      .when(report(1, failed))
      .then(
        ...marked(
          1,
          fact('RunFailed', { error: broken, endedAtMs: START_MS, effects: { ...none, stays: [{ call: '1', what: 'pay' }] } }),
        ),
      );
  });

  it('undoes the newest of its effects first, and holds no worker for it that has its code', () => {
    given(...active, ...done('1'), ...done('2'), sleepSet('3'))
      .when(report(1, failed))
      .then(...marked(1, fact('TimerCancelled', { timerId: '3' }), ending(2), undoTimer, undoIntended('2')), WOKEN);
  });

  it('in the same report as the last effect takes each timer back once', () => {
    const limited = intendedEffect('1', { tool: 'book', compensation, limits: { totalMs: 5_000 } });
    const total = fact('TimerSet', { timerId: 'total-1-1', purpose: 'total', call: '1', dueAtMs: START_MS + 5_000 });
    const events = given(...active, limited, total)
      .when(report(1, result('1', { ok: true, value: 1 }), failed))
      .accepted();
    expect(events.filter(({ type }) => type === 'TimerCancelled')).toHaveLength(1);
  });

  it('that completes undoes nothing', () => {
    given(...active, ...done('1'))
      .when(report(1, { type: 'completed', output: 1 }))
      .then(...marked(1, fact('RunCompleted', { output: 1, endedAtMs: START_MS })));
  });
});

describe('a run that is cancelled or times out', () => {
  it('while nobody holds it undoes its effects', () => {
    const suspended = [...active, ...done('1'), sleepSet('2'), fact('RunSuspended', { epoch: 1 })];
    const events = given(...suspended)
      .when(own({ type: 'CancelRun', reason: 'enough' }))
      .accepted();
    expect(events.map(({ type }) => type)).toEqual([
      'RunCancelRequested',
      'TimerCancelled',
      'RunEnding',
      'TimerSet',
      'EffectIntended',
      'RunWoken',
    ]);
  });

  it('by its deadline undoes its effects beyond it', () => {
    const events = given(...active, deadlineSet(START_MS), ...done('1'))
      .when(own({ type: 'FireTimer', timerId: 'deadline' }))
      .accepted();
    expect(events).toContainEqual(ending(1, { status: 'timed-out', deadlineAtMs: START_MS }));
    expect(events.map(({ type }) => type)).not.toContain('RunTimedOut');
  });
});

describe('a run whose effects are undone', () => {
  it('has its worker run what the tool declares, with input and result of what it undoes', () => {
    expect(instructionsOf(folded(...undoingTwo))).toEqual([
      { do: 'undo-tool', call: 'undo-2', tool: 'book', args: { of: '2' }, result: 'done 2', undoes: '2', attempt: 1 },
    ]);
  });

  it('goes on with the one before, when one is undone', () => {
    given(...undoingTwo)
      .when(inEpoch(2, 1, result('undo-2', ok)))
      .then(
        ...[
          fact('EffectConfirmed', { call: 'undo-2', attempt: 1, result: null }),
          fact('EffectCompensated', { call: '2', tool: 'book', undo: 'undo-2' }),
          undoIntended('1'),
        ].map((event) => reported(2, 1, event)),
      );
  });

  it('tries again what may be tried again, by the policy of the compensation', () => {
    const busy = { ok: false as const, error: { code: 'Busy', message: 'later', reaction: 'retryable' as const } };
    const events = given(...undoingTwo)
      .when(inEpoch(2, 1, result('undo-2', busy)))
      .accepted();
    expect(events.map(({ type }) => type)).toEqual(['EffectFailed', 'TimerSet']);
  });

  it('ends as was decided when all is undone or given up, and says which and why', () => {
    const last = [
      ...undoingTwo,
      fact('EffectFailed', { call: 'undo-2', attempt: 1, error: never.error }),
      fact('EffectNotCompensated', { call: '2', tool: 'book', why: 'Closed: for ever' }),
      undoIntended('1'),
    ];
    given(...last)
      .when(inEpoch(2, 1, result('undo-1', ok)))
      .then(
        ...[
          fact('EffectConfirmed', { call: 'undo-1', attempt: 1, result: null }),
          fact('EffectCompensated', { call: '1', tool: 'book', undo: 'undo-1' }),
          fact('RunFailed', {
            error: broken,
            endedAtMs: START_MS,
            effects: {
              ...none,
              undone: [{ call: '1', what: 'book' }],
              notUndone: [{ call: '2', what: 'book', why: 'Closed: for ever' }],
            },
          }),
        ].map((event) => reported(2, 1, event)),
      );
  });

  it('begins nothing else', () => {
    for (const entry of [failed, { type: 'completed', output: 1 }, { type: 'timer-set', call: '9', delayMs: 1 }] as const)
      given(...undoingTwo)
        .when(inEpoch(2, 1, entry))
        .thenRejected('UnknownCall');
  });

  it('is not cancelled again', () => {
    given(...undoingTwo)
      .when(own({ type: 'CancelRun', reason: 'enough' }))
      .thenNothing();
  });

  it('can be held, and goes on when it is resumed', () => {
    const request = { reason: 'wait', commandId: commandIdAt(START_MS, 7), requestedAtMs: START_MS };
    given(...undoingTwo)
      .when(own({ type: 'PauseRun', reason: 'wait' }))
      .then(fact('RunPauseRequested', request));
  });

  it('ends at once when it is terminated, and names what is left', () => {
    given(...undoingTwo)
      .when(own({ type: 'TerminateRun', reason: 'wild' }))
      .then(
        fact('RunTerminated', {
          reason: 'wild',
          leftOpen: [{ call: 'undo-2', what: 'book' }],
          endedAtMs: START_MS,
          effects: {
            ...none,
            notUndone: ['2', '1'].map((call) => ({ call, what: 'book', why: 'the run was terminated first' })),
          },
        }),
      );
  });

  it('does not outlast the time for undoing', () => {
    const events = given(...undoingTwo)
      .when({
        ...own({ type: 'FireTimer', timerId: 'undo' }),
        at: { nowMs: UNDO_BY_MS, commandId: commandIdAt(UNDO_BY_MS), fraction: 0 },
      })
      .accepted();
    expect(events.map(({ type }) => type)).toEqual(['TimerFired', 'RunFailed']);
    expect(JSON.stringify(events)).toContain('the time for undoing was over');
  });

  it('loses no effect with the worker that undoes it', () => {
    const lost = [...undoingTwo, fact('ActivationLost', { epoch: 2, reason: 'worker-lost' }), assigned(3)];
    expect(instructionsOf(folded(...lost))).toMatchObject([{ do: 'undo-tool', call: 'undo-2', attempt: 1 }]);
  });
});

describe('an effect of which nobody knows, of a run that ends', () => {
  const of = { call: '1', attempt: 1, executionId: 'x1' };
  const underWay = [
    ...active,
    intendedEffect('1', { tool: 'rent', effectClass: 'probeable', compensation }),
    fact('EffectDispatched', { ...of, startByMs: START_MS + 5_000, overByMs: START_MS + 7_000, hasProbe: true }),
  ];
  const asked = [
    ...underWay,
    fact('EffectUnknown', { ...of, because: 'activation-ended' }),
    fact('TimerSet', { timerId: 'probe-1-1-1', purpose: 'probe', call: '1', dueAtMs: START_MS + 7_000 }),
    ending(0),
    undoTimer,
    fact('TimerFired', { timerId: 'probe-1-1-1', dueAtMs: START_MS + 7_000 }),
    WOKEN,
    assigned(2),
  ];
  const probed = (found: Extract<ProgressEntry, { type: 'probe-result' }>['found']): ProgressEntry => ({
    type: 'probe-result',
    ...of,
    probe: 1,
    found,
  });

  it('is found out first if it could be undone', () => {
    const events = given(...underWay)
      .when(report(1, failed))
      .accepted();
    expect(events.map(({ type }) => type)).toEqual(['EffectUnknown', 'TimerSet', 'RunEnding', 'TimerSet']);
  });

  it('is undone when it has happened', () => {
    const events = given(...asked)
      .when(inEpoch(2, 1, probed({ verdict: 'happened', result: 'rented' })))
      .accepted();
    expect(events.map(({ type }) => type)).toEqual(['EffectReconciled', 'EffectConfirmed', 'EffectIntended']);
  });

  it('is found out even if it could run again: a deadline ends its run while it is under way with a grant', () => {
    const deadline = [requested({ deadlineAtMs: START_MS + 500 }), deadlineSet(500), assigned()];
    const dispatched = fact('EffectDispatched', {
      ...of,
      startByMs: START_MS + 5_000,
      overByMs: START_MS + 7_000,
      hasProbe: false,
      grantId: 'g1',
    });
    const granted = [...deadline, intendedEffect('1', { tool: 'book', compensation }), dispatched];
    const nowMs = START_MS + 500;
    const fired = given(...granted)
      .when({
        ...own({ type: 'FireTimer', timerId: 'deadline' }),
        at: { nowMs, commandId: commandIdAt(nowMs, 3), fraction: 0.5 },
      })
      .accepted();
    expect(fired.map(({ type }) => type)).toEqual(['TimerFired', 'EffectUnknown', 'EffectQuestioned', 'RunEnding', 'TimerSet']);
    const answer = { type: 'ResolveEffect', call: '1', resolution: 'happened', by: { kind: 'user', id: 'ada' } } as const;
    const answered = given(...granted, ...fired)
      .when(own({ ...answer, result: 'booked' }))
      .accepted();
    expect(answered.map(({ type }) => type)).toEqual(['EffectReconciled', 'EffectConfirmed', 'EffectIntended', 'RunWoken']);
  });

  it('is not tried again when it has not', () => {
    const events = given(...asked)
      .when(inEpoch(2, 1, probed({ verdict: 'absent' })))
      .accepted();
    expect(events.map(({ type }) => type)).toEqual(['EffectReconciled', 'RunFailed']);
  });
});

describe('what the code of a workflow has registered', () => {
  const registered = fact('UndoRegistered', {
    call: '1',
    tool: 'pay',
    effectClass: 'idempotent',
    args: { back: 5 },
    argsHash: 'h',
  });

  it('is a fact with the class that its build has registered', () => {
    given(...active)
      .when(report(1, { type: 'undo-registered', call: '1', tool: 'pay', args: { back: 5 }, argsHash: 'h' }))
      .then(...marked(1, registered));
  });

  it('is a use of the tool, made when the run ends', () => {
    const facts = [
      ...active,
      registered,
      ending(1),
      undoTimer,
      undoIntended('1', { tool: 'pay', args: { back: 5 }, argsHash: 'h' }),
    ];
    expect(instructionsOf(folded(...facts))).toEqual([
      { do: 'run-tool', call: 'undo-1', tool: 'pay', args: { back: 5 }, attempt: 1, undoes: '1' },
    ]);
  });

  it('is nothing that may be said of an agent', () => {
    const agent = knownCode(agentManifest(), [toolManifest('pay')]);
    const say = report(1, { type: 'undo-registered', call: '1', tool: 'pay', args: {}, argsHash: 'h' });
    given(requested({ kind: 'agent' }), assigned())
      .when({ ...say, code: agent })
      .thenRejected('NotForAgents');
  });
});
