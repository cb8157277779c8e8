import type { ProgressEntry, RunEvent } from '@perdure/run-contract';
import {
  agentManifest,
  assigned,
  commandIdAt,
  deciderSpec,
  decision,
  fact,
  intendedEffect,
  knownCode,
  reported,
  requested,
  specIdentities,
  START_MS,
  workflowManifest,
} from '@perdure/testing';
import { SIGNALS_UNREAD_MAX } from '../bounds';
import type { DomainCommand } from '../run.commands';
import { runDecider } from '../run.decider';
import { instructionsOf } from '../run.effects';
import { evolve } from '../run.evolve';
import { isOpen, noRun, type OpenRun } from '../run.state';
import { viewOf } from '../run.view';

const given = deciderSpec(runDecider(specIdentities));
const ID = commandIdAt(START_MS, 7);

function at(command: DomainCommand, commandId = ID, nowMs = START_MS) {
  return { command, at: { nowMs, commandId, fraction: 0.5 }, code: knownCode(workflowManifest()) };
}
function report(seq: number, ...entries: readonly ProgressEntry[]) {
  return at({ type: 'RecordProgress', epoch: 1, seq, entries: [...entries] });
}
const send = (name = 'approved', payload: unknown = 1, commandId = ID) => at({ type: 'SignalRun', name, payload }, commandId);
const received = (name = 'approved', payload: unknown = 1, n = 7) =>
  fact('SignalReceived', { name, payload, commandId: commandIdAt(START_MS, n) });
const awaited = (call = '1', name = 'approved') => fact('SignalAwaited', { call, name });
const limit = (call = '1') => fact('TimerSet', { timerId: `wait-${call}`, purpose: 'wait', call, dueAtMs: START_MS + 5_000 });
const waits: ProgressEntry = { type: 'signal-awaited', call: '1', name: 'approved' };
const active = [requested(), assigned()];

function stateOf(...facts: readonly RunEvent[]): OpenRun {
  const state = facts.reduce(evolve, noRun as ReturnType<typeof evolve>);
  if (!isOpen(state)) throw new Error('it has ended');
  return state;
}

describe('a signal', () => {
  it('wakes the run whose code waits for it', () => {
    given(...active, awaited(), fact('RunSuspended', { epoch: 1 }))
      .when(send())
      .then(received(), fact('RunWoken', { preferredWorkerId: 'worker-1' }));
  });

  it('is kept until the code waits for it, and does not wake what waits for another', () => {
    given(...active, awaited('1', 'other'), fact('RunSuspended', { epoch: 1 }))
      .when(send())
      .then(received());
    given(...active, received())
      .when(report(1, waits, { type: 'delivered', call: '1', revision: 3 }))
      .then(
        reported(1, 1, awaited()),
        reported(1, 1, fact('StepsRecorded', { entries: [{ type: 'delivered', call: '1', revision: 3 }] })),
      );
  });

  it('is read once and in order: by the oldest wait for its name', () => {
    const state = stateOf(
      ...active,
      received('approved', 'a', 1),
      received('other', 'b', 2),
      received('approved', 'c', 3),
      awaited('1'),
      awaited('2'),
    );
    expect(state.inbound.map(({ call, outcome }) => [call, outcome.ok ? outcome.value : undefined])).toEqual([
      ['1', { timedOut: false, payload: 'a' }],
      ['2', { timedOut: false, payload: 'c' }],
    ]);
    expect(state.signals.map(({ name }) => name)).toEqual(['other']);
    const later = stateOf(...active, awaited('1'), awaited('2'), received());
    expect([...later.calls.keys()]).toEqual(['2']);
  });

  it('ends the limit of the wait that it answers', () => {
    given(...active, awaited(), limit())
      .when(send())
      .then(received(), fact('TimerCancelled', { timerId: 'wait-1' }));
  });

  it('is the same signal under the same command id, also when the run has ended since', () => {
    given(...active, received())
      .when(send())
      .thenNothing();
    given(...active, received(), fact('RunCompleted', { output: 1, endedAtMs: START_MS }))
      .when(send())
      .thenNothing();
  });

  it('is refused by a run that has ended, and by one that keeps too many unread', () => {
    given(...active, fact('RunCompleted', { output: 1, endedAtMs: START_MS }))
      .when(send())
      .thenRejected('RunAlreadyEnded');
    const unread = Array.from({ length: SIGNALS_UNREAD_MAX }, (_, n) => received('approved', n, n + 10));
    given(...active, ...unread)
      .when(send())
      .thenRejected('TooManySignals');
    given(...active, awaited('1', 'other'), ...unread)
      .when(send('other'))
      .then(received('other'));
  });
});

describe('a callback', () => {
  const name = 'cb-0197';

  it('is taken by the wait for it, once', () => {
    given(...active, awaited('1', name))
      .when(send(name, { result: 1 }))
      .then(received(name, { result: 1 }));
    given(...active, awaited('1', name), received(name, { result: 1 }, 6))
      .when(send(name, { result: 2 }))
      .thenRejected('CallbackClosed');
  });

  it('for which nobody waits, or not any more, is refused', () => {
    given(...active)
      .when(send(name))
      .thenRejected('CallbackClosed');
    const timedOut = fact('TimerFired', { timerId: 'wait-1', dueAtMs: START_MS + 5_000 });
    given(...active, awaited('1', name), limit(), timedOut)
      .when(send(name))
      .thenRejected('CallbackClosed');
  });
});

describe('a wait for a signal', () => {
  it('with a limit sets a timer, unless its signal is there already', () => {
    const limited: ProgressEntry = { ...waits, timeoutMs: 5_000 };
    const due = fact('SignalAwaited', { call: '1', name: 'approved', dueAtMs: START_MS + 5_000 });
    given(...active)
      .when(report(1, limited))
      .then(reported(1, 1, due), reported(1, 1, limit()));
    given(...active, received())
      .when(report(1, limited))
      .then(reported(1, 1, awaited()));
  });

  it('ends as timed out when its timer fires, and leaves later signals unread', () => {
    const fired = fact('TimerFired', { timerId: 'wait-1', dueAtMs: START_MS + 5_000 });
    given(...active, awaited(), limit(), fact('RunSuspended', { epoch: 1 }))
      .when(at({ type: 'FireTimer', timerId: 'wait-1' }, ID, START_MS + 5_000))
      .then(fired, fact('RunWoken', { preferredWorkerId: 'worker-1' }));
    const state = stateOf(...active, awaited(), limit(), fired, received());
    expect(state.inbound).toMatchObject([{ call: '1', outcome: { value: { timedOut: true } } }]);
    expect(state.signals).toHaveLength(1);
  });

  it('names itself, and who closes it', () => {
    const view = viewOf(
      { tenant: 'acme', runId: 'r' },
      stateOf(...active, awaited(), limit(), fact('RunSuspended', { epoch: 1 })),
    );
    expect(view.waitingOn).toMatchObject([
      { promise: 'signal', keeper: 'caller', id: '1', dueAtMs: START_MS + 5_000, detail: 'the signal approved' },
    ]);
    expect(view.waitingOn[0]?.closedBy).toContain('perdure run signal');
  });

  it('takes no identity that is taken', () => {
    given(...active, awaited())
      .when(report(1, waits))
      .thenRejected('CallConflict');
  });
});

describe('an agent', () => {
  const agentCode = knownCode(agentManifest());
  const modelCall = (turn: number, ...signals: readonly number[]) =>
    fact('ModelCallIntended', {
      call: `t${turn}`,
      turn,
      model: 'scripted-1',
      ...(signals.length === 0 ? {} : { signals: [...signals] }),
    });
  const begun = [requested({ kind: 'agent', name: 'helper' }), assigned(), modelCall(1)];
  const ended = decision({ text: 'so be it' });
  const decided: ProgressEntry = { type: 'model-result', call: 't1', attempt: 1, result: { ok: true, decision: ended } };
  const completed = fact('ModelCallCompleted', { call: 't1', attempt: 1, decision: ended });
  const by = (entry: ProgressEntry) => ({ ...report(1, entry), code: agentCode });

  it('is shown what was sent with its next turn, and not again', () => {
    const toolTurn = decision({ toolCalls: [{ toolCallId: 'a', tool: 'pay', args: {} }] });
    const busy = [...begun, fact('ModelCallCompleted', { call: 't1', attempt: 1, decision: toolTurn }), intendedEffect('t1.0')];
    const outcome = { ok: true as const, value: 1 };
    given(...busy, received())
      .when(by({ type: 'effect-result', call: 't1.0', attempt: 1, outcome }))
      .then(reported(1, 1, fact('EffectConfirmed', { call: 't1.0', attempt: 1, result: 1 })), reported(1, 1, modelCall(2, 5)));
    const state = stateOf(...busy, received(), fact('EffectConfirmed', { call: 't1.0', attempt: 1, result: 1 }), modelCall(2, 5));
    expect(instructionsOf(state)).toEqual([
      { do: 'call-model', call: 't2', attempt: 1, signals: [{ revision: 5, name: 'approved', payload: 1 }] },
    ]);
    expect(state.signals).toEqual([]);
  });

  it('is not disturbed while it waits for a tool', () => {
    const waiting = [...begun, completed, intendedEffect('t1.0'), fact('RunSuspended', { epoch: 1 })];
    given(...waiting)
      .when(send())
      .then(received());
  });

  it('gets another turn when something came while it gave its last answer', () => {
    given(...begun, received())
      .when(by(decided))
      .then(reported(1, 1, completed), reported(1, 1, modelCall(2, 3)));
  });

  it('ends with its answer when it has no turn left for what came meanwhile', () => {
    const code = knownCode(agentManifest({ limits: { turnsMax: 1 } }));
    given(...begun, received())
      .when({ ...report(1, decided), code })
      .then(reported(1, 1, completed), reported(1, 1, fact('RunCompleted', { output: 'so be it', endedAtMs: START_MS })));
  });

  it('that is cancelled ends as cancelled, however its model gives up', () => {
    const asked = fact('RunCancelRequested', { reason: 'no', commandId: ID, requestedAtMs: START_MS });
    const error = { code: 'RunCancelled', message: 'The run was cancelled.', reaction: 'cancelled' as const };
    const gaveUp: ProgressEntry = { type: 'model-result', call: 't1', attempt: 1, result: { ok: false, error } };
    given(...begun, asked)
      .when({ ...at({ type: 'RecordProgress', epoch: 1, seq: 1, entries: [gaveUp, { type: 'cancelled' }] }), code: agentCode })
      .then(
        reported(1, 1, fact('ModelCallFailed', { call: 't1', attempt: 1, error })),
        reported(1, 1, fact('RunCancelled', { reason: 'no', endedAtMs: START_MS })),
      );
  });
});
