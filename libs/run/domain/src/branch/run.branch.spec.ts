import type { RunEvent } from '@perdure/run-contract';
import {
  agentManifest,
  assigned,
  commandIdAt,
  deadlineSet,
  deciderSpec,
  decision,
  fact,
  intendedEffect,
  knownCode,
  reported,
  requested,
  sleepSet,
  specIdentities,
  START_MS,
  workflowManifest,
} from '@perdure/testing';
import type { DomainCommand, RewindRun } from '../run.commands';
import { runDecider } from '../run.decider';
import { evolve } from '../run.evolve';
import { journalLength, tailItems } from '../run.journal';
import { isOpen, noRun, type OpenRun, type RunState } from '../run.state';

const given = deciderSpec(runDecider(specIdentities));
const ID = commandIdAt(START_MS, 7);

function at(command: DomainCommand, commandId = ID) {
  return { command, at: { nowMs: START_MS, commandId, fraction: 0.5 }, code: knownCode(workflowManifest()) };
}
function stateOf(...facts: readonly RunEvent[]): OpenRun {
  const state = facts.reduce<RunState>(evolve, noRun);
  if (!isOpen(state)) throw new Error('it has ended');
  return state;
}
function forkOf(...facts: readonly RunEvent[]): DomainCommand {
  const past = stateOf(...facts);
  const { kind, name, pool, input } = past.request;
  return {
    type: 'RequestFork',
    kind,
    name,
    pool,
    input,
    requestHash: 'fork',
    source: { runId: 'source', revision: past.revision },
    past,
    approvals: new Map(),
  };
}
function forkedBy(command: DomainCommand): readonly RunEvent[] {
  return given().when(at(command)).accepted();
}
function rewindTo(facts: readonly RunEvent[], to: number, more: Partial<RewindRun> = {}): DomainCommand {
  const past = stateOf(...facts.slice(0, to + 1));
  return {
    type: 'RewindRun',
    to,
    past,
    asOf: facts.length - 1,
    outcomes: new Map(),
    sentSince: [],
    approvals: new Map(),
    reason: 'misread',
    ...more,
  };
}
const types = (events: readonly RunEvent[]): readonly string[] => events.map(({ type }) => type);

const active = [requested(), assigned()];
const step = fact('StepsRecorded', {
  entries: [{ type: 'step', call: '1', name: 'total', outcome: { ok: true, value: 5 } }],
});
const confirmed = (call: string) => fact('EffectConfirmed', { call, attempt: 1, result: 'paid' });
const dispatched = (call: string) =>
  fact('EffectDispatched', {
    call,
    attempt: 1,
    executionId: 'x1',
    startByMs: START_MS + 5_000,
    overByMs: START_MS + 7_000,
    hasProbe: false,
  });

describe('a fork', () => {
  it('begins as a request of its own that carries what the source was given', () => {
    const events = forkedBy(forkOf(...active, step, intendedEffect('2'), confirmed('2')));
    expect(types(events)).toEqual(['RunRequested', 'RunForked']);
    const state = stateOf(...events);
    expect(state.status).toBe('queued');
    expect(tailItems(state.journal).map(({ type, call }) => `${type} ${call}`)).toEqual(['got 1', 'made 2', 'got 2']);
  });

  it('arms open timers again, at the time when they were due', () => {
    expect(forkedBy(forkOf(...active, sleepSet('1', START_MS + 9_000))).slice(2)).toEqual([sleepSet('1', START_MS + 9_000)]);
  });

  it('gives its code what had arrived for that of the source', () => {
    const fired = fact('TimerFired', { timerId: '1', dueAtMs: START_MS });
    const state = stateOf(...forkedBy(forkOf(...active, sleepSet('1', START_MS), fired)));
    expect(tailItems(state.journal).map(({ type }) => type)).toEqual(['made', 'got']);
  });

  it('does not inherit a deadline, a pause or a cancel', () => {
    const pause = fact('RunPauseRequested', { reason: 'r', commandId: ID, requestedAtMs: START_MS });
    const state = stateOf(...forkedBy(forkOf(requested(), deadlineSet(), assigned(), pause)));
    expect([state.timers.size, state.pause, state.cancel]).toEqual([0, undefined, undefined]);
  });

  it.each([
    ['pure', [], ['EffectIntended']],
    ['idempotent', [], ['EffectIntended', 'EffectQuestioned']],
    ['irreversible', [], ['EffectIntended']],
    ['irreversible', [dispatched('1')], ['EffectIntended', 'EffectQuestioned']],
  ] as const)('does not begin what may be under way in its source: %s, %#', (effectClass, more, expected) => {
    const events = forkedBy(forkOf(...active, intendedEffect('1', { effectClass }), ...more));
    expect(types(events.slice(2))).toEqual(expected);
  });

  it('asks a person about it, and runs it under keys of its own when it did not happen', () => {
    const events = forkedBy(forkOf(...active, intendedEffect('1')));
    given(...events)
      .when(
        at({ type: 'ResolveEffect', call: '1', resolution: 'absent', by: { kind: 'user', id: 'ada' } }, commandIdAt(START_MS, 8)),
      )
      .accepted();
  });

  it('is for the build that is asked for alone, of an agent too, and asks its model', () => {
    const source = [requested({ kind: 'agent', name: 'helper' }), assigned()];
    const fork = forkedBy({ ...forkOf(...source), buildId: 'b9', model: 'other-1' } as DomainCommand);
    expect(fork[1]).toMatchObject({ type: 'RunForked', data: { model: 'other-1' } });
    const release = { permitId: 'p', term: 1, workerId: 'w', sessionId: 's', notAfterMs: START_MS };
    const place = (buildId: string) => ({ ...at({ type: 'ReleaseRun', ...release, buildId }), code: knownCode(agentManifest()) });
    given(...fork)
      .when(place('b8'))
      .thenRejected('WrongBuild');
    const placed = given(...fork)
      .when(place('b9'))
      .accepted();
    expect(placed.at(-1)).toEqual(fact('ModelCallIntended', { call: 't1', turn: 1, model: 'other-1' }));
    expect(stateOf(...fork, ...placed).pin).toBe('b9');
  });

  it('is the same fork under the same request, and refused under another', () => {
    const fork = forkOf(...active, step);
    const events = forkedBy(fork);
    given(...events)
      .when(at(fork))
      .thenNothing();
    given(...active)
      .when(at(fork))
      .thenRejected('RunAlreadyExists');
    given(...active, fact('RunCompleted', { output: 1, endedAtMs: START_MS }))
      .when(at(fork))
      .thenRejected('RunAlreadyExists');
  });

  it('of an agent asks its model again for the turn that was not decided', () => {
    const toolTurn = decision({ toolCalls: [{ toolCallId: 'a', tool: 'pay', args: {} }] });
    const model = (turn: number) => fact('ModelCallIntended', { call: `t${turn}`, turn, model: 'scripted-1' });
    const source = [
      requested({ kind: 'agent', name: 'helper' }),
      assigned(),
      model(1),
      fact('ModelCallCompleted', { call: 't1', attempt: 1, decision: toolTurn }),
      intendedEffect('t1.0', { toolCallId: 'a' }),
      confirmed('t1.0'),
      model(2),
      fact('ModelCallFailed', { call: 't2', attempt: 1, error: { code: 'X', message: 'x', reaction: 'terminal' } }),
    ];
    const fork = forkedBy(forkOf(...source));
    const release = { permitId: 'p', term: 1, workerId: 'w', sessionId: 's', buildId: 'b', notAfterMs: START_MS };
    const placed = given(...fork)
      .when({ ...at({ type: 'ReleaseRun', ...release }), code: knownCode(agentManifest()) })
      .accepted();
    expect(placed.at(-1)).toEqual(model(2));
  });
});

describe('a rewind', () => {
  const done = [...active, step, intendedEffect('2'), confirmed('2')];

  it('ends the activation, goes on from what was, and asks for a worker', () => {
    const events = given(...done)
      .when(at(rewindTo(done, 2)))
      .accepted();
    expect(types(events)).toEqual(['ActivationLost', 'RunPaused', 'RunRewound', 'RunResumed']);
    const state = stateOf(...done, ...events);
    expect([state.status, state.branch, state.calls.size]).toEqual(['queued', 1, 0]);
    expect(tailItems(state.journal).map(({ call }) => call)).toEqual(['1']);
  });

  it('leaves a run held that somebody holds', () => {
    const paused = [...done, fact('RunSuspended', { epoch: 1 }), fact('RunPaused', { reason: 'look' })];
    const events = given(...paused)
      .when(at(rewindTo(paused, 2)))
      .accepted();
    expect(types(events)).toEqual(['RunRewound']);
  });

  it('keeps the end of an effect that was begun before: it is not done again', () => {
    const outcome = { ok: true as const, value: 'paid' };
    const events = given(...done)
      .when(at(rewindTo(done, 3, { outcomes: new Map([['2', { outcome }]]) })))
      .accepted();
    expect(types(events)).not.toContain('EffectIntended');
    expect(tailItems(stateOf(...done, ...events).journal).at(-1)).toMatchObject({ type: 'got', call: '2', outcome });
  });

  it.each([
    ['is under way', [intendedEffect('2', { effectClass: 'irreversible' }), dispatched('2')], 2],
    ['was begun before, and has no end', [intendedEffect('2')], 3],
  ] as const)('is refused while an effect %s', (_, more, to) => {
    const facts = [...active, step, ...more];
    given(...facts)
      .when(at(rewindTo(facts, to)))
      .thenRejected('EffectsUnsettled');
  });

  it('keeps what was done since among what would be undone, newest first, under names of its own', () => {
    const compensation = { effectClass: 'idempotent' as const };
    const effect = [intendedEffect('2', { compensation }), confirmed('2')];
    const facts = [...active, step, ...effect];
    const back = given(...facts)
      .when(at(rewindTo(facts, 2)))
      .accepted();
    const again = [...facts, ...back, assigned(2), ...effect];
    const failed = at({
      type: 'RecordProgress',
      epoch: 2,
      seq: 1,
      entries: [{ type: 'failed', error: { code: 'X', message: 'x', reaction: 'terminal' } }],
    });
    const ending = given(...again)
      .when(failed)
      .accepted();
    const undo = { type: 'EffectIntended', data: { call: 'undo-b1-2', undoes: 'b1-2' } };
    expect(ending.slice(-2)).toMatchObject([undo, { type: 'RunWoken' }]);
    const state = stateOf(...again, ...ending);
    expect(state.undo.entries.map(({ call }) => call)).toEqual(['2', 'b1-2']);
  });

  it('names at its end what was under way when it went back, and may have happened', () => {
    const facts = [...active, step, intendedEffect('2')];
    const back = given(...facts)
      .when(at(rewindTo(facts, 2)))
      .accepted();
    const failed = at({
      type: 'RecordProgress',
      epoch: 2,
      seq: 1,
      entries: [{ type: 'failed', error: { code: 'X', message: 'x', reaction: 'terminal' } }],
    });
    const [ended] = given(...facts, ...back, assigned(2))
      .when(failed)
      .accepted();
    expect(ended).toMatchObject({ type: 'RunFailed', data: { effects: { unknown: [{ call: '2', what: 'pay' }] } } });
  });

  it('names at its end what is under way since it went back by names of its own', () => {
    const facts = [...active, step, intendedEffect('2')];
    const back = given(...facts)
      .when(at(rewindTo(facts, 2)))
      .accepted();
    const ending = given(...facts, ...back, assigned(2), intendedEffect('2'))
      .when(at({ type: 'TerminateRun', reason: 'enough' }))
      .accepted();
    const unknown = [{ call: '2' }, { call: 'b1-2' }];
    expect(ending.at(-1)).toMatchObject({ type: 'RunTerminated', data: { effects: { unknown } } });
  });

  it('cancels the timers of what it takes back, and gives those of its branch names of their own', () => {
    const facts = [...active, step, sleepSet('2')];
    const events = given(...facts)
      .when(at(rewindTo(facts, 2)))
      .accepted();
    expect(events).toContainEqual(fact('TimerCancelled', { timerId: '2' }));
    const again = [...facts, ...events, assigned(2)];
    const report = at({ type: 'RecordProgress', epoch: 2, seq: 1, entries: [{ type: 'timer-set', call: '2', delayMs: 5 }] });
    expect(
      given(...again)
        .when(report)
        .accepted(),
    ).toMatchObject([{ data: { timerId: 'b1-2', call: '2' } }]);
  });

  it('makes unread again what was sent since, and keeps the deadline', () => {
    const signal = fact('SignalReceived', { name: 'go', payload: 1, commandId: commandIdAt(START_MS, 9) });
    const facts = [requested(), deadlineSet(), assigned(), step, signal, fact('SignalAwaited', { call: '2', name: 'go' })];
    const sentSince = [{ revision: 4, name: 'go', payload: 1 }];
    const events = given(...facts)
      .when(at(rewindTo(facts, 3, { sentSince })))
      .accepted();
    const state = stateOf(...facts, ...events);
    expect(state.signals).toEqual(sentSince);
    expect([...state.timers.keys()]).toEqual(['deadline']);
  });

  it('is judged by the log as it is, once, and never for a run that is at its end', () => {
    given(...done)
      .when(at(rewindTo(done, 2, { asOf: 3 })))
      .thenRejected('RunMovedOn');
    const events = given(...done)
      .when(at(rewindTo(done, 2)))
      .accepted();
    given(...done, ...events)
      .when(at(rewindTo(done, 2)))
      .thenNothing();
    const asked = fact('RunCancelRequested', { reason: 'no', commandId: commandIdAt(START_MS, 9), requestedAtMs: START_MS });
    given(...done, asked)
      .when(at(rewindTo(done, 2)))
      .thenRejected('CancelUnderWay');
    given(...done, fact('RunCompleted', { output: 1, endedAtMs: START_MS }))
      .when(at(rewindTo(done, 2)))
      .thenRejected('RunAlreadyEnded');
  });
});

describe('a run that continues with another input', () => {
  const again = () => at({ type: 'RecordProgress', epoch: 1, seq: 1, entries: [{ type: 'continued', input: { page: 2 } }] });
  const begun = [requested(), assigned()];
  const woken = fact('RunWoken', { preferredWorkerId: 'worker-1' });
  const letGo = fact('RunSuspended', { epoch: 1 });
  const continued = fact('RunContinued', { branch: 1, input: { page: 2 } });

  it('lets go, begins again in another branch and asks for a worker, and takes its timers back', () => {
    given(...begun, sleepSet('3'))
      .when(again())
      .then(
        reported(1, 1, letGo),
        reported(1, 1, fact('TimerCancelled', { timerId: '3' })),
        reported(1, 1, continued),
        reported(1, 1, woken),
      );
  });

  it('has nothing of before but the signals that nobody has read, and what limits the whole run', () => {
    const deadline = fact('TimerSet', { timerId: 'deadline', purpose: 'deadline', dueAtMs: START_MS + 9 });
    const unread = fact('SignalReceived', { name: 'more', payload: 1, commandId: commandIdAt(START_MS, 3) });
    const step = fact('StepsRecorded', { entries: [{ type: 'value', call: '1', name: 'now', value: 1 }] });
    const state = stateOf(
      ...begun,
      deadline,
      step,
      unread,
      sleepSet('3'),
      letGo,
      fact('TimerCancelled', { timerId: '3' }),
      continued,
    );
    expect([...state.timers.keys()]).toEqual(['deadline']);
    expect([state.calls.size, state.inbound.length, journalLength(state.journal), state.branch]).toEqual([0, 0, 0, 1]);
    expect(state.signals).toMatchObject([{ name: 'more' }]);
    expect(state.request.input).toEqual({ page: 2 });
  });

  it('is not left behind while nobody knows what an effect of it has done', () => {
    given(...begun, intendedEffect('2'))
      .when(again())
      .thenRejected('EffectsUnsettled');
  });
});
