import { fold } from '@perdure/kernel';
import type { ProgressEntry, RunEvent, ToolCall } from '@perdure/run-contract';
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
  toolManifest,
} from '@perdure/testing';
import type { KnownCode } from '../run.commands';
import { runDecider } from '../run.decider';
import { instructionsOf } from '../run.effects';

const decider = runDecider({ ...specIdentities, hash: (value) => `hash of ${JSON.stringify(value)}` });
const given = deciderSpec(decider);
const code = knownCode(agentManifest());
const modelCall = (turn: number) => fact('ModelCallIntended', { call: `t${turn}`, turn, model: 'scripted-1' });
const begun = [requested({ kind: 'agent', name: 'helper' }), assigned(), modelCall(1)];
const first = (event: RunEvent) => reported(1, 1, event);
const error = { code: 'Overloaded', message: 'later', reaction: 'retryable' as const };

function report(entries: readonly ProgressEntry[], known: KnownCode = code) {
  const command = { type: 'RecordProgress' as const, epoch: 1, seq: 1, entries: [...entries] };
  return { command, at: { nowMs: START_MS, commandId: commandIdAt(START_MS), fraction: 0.5 }, code: known };
}

function decided(turn: number, ...toolCalls: readonly ToolCall[]): ProgressEntry {
  return {
    type: 'model-result',
    call: `t${turn}`,
    attempt: 1,
    result: { ok: true, decision: decision({ text: 'so be it', toolCalls: [...toolCalls] }) },
  };
}

function completed(turn: number, ...toolCalls: readonly ToolCall[]): RunEvent {
  return fact('ModelCallCompleted', {
    call: `t${turn}`,
    attempt: 1,
    decision: decision({ text: 'so be it', toolCalls: [...toolCalls] }),
  });
}

const use = (tool: string, toolCallId = 'a'): ToolCall => ({ toolCallId, tool, args: { n: 1 } });
const intended = (call: string, tool: string, toolCallId = 'a') =>
  intendedEffect(call, { tool, args: { n: 1 }, argsHash: 'hash of {"n":1}', toolCallId });
const result = (call: string): ProgressEntry => ({
  type: 'effect-result',
  call,
  attempt: 1,
  outcome: { ok: true, value: 'done' },
});
const confirmed = (call: string) => fact('EffectConfirmed', { call, attempt: 1, result: 'done' });

function unknownTool(call: string, tool: string): RunEvent {
  const message = `There is no tool named ${tool}. The tools of this agent are: pay, lookup.`;
  return fact('EffectFailed', { call, attempt: 1, error: { code: 'UnknownTool', message, reaction: 'terminal' } });
}

describe('the loop of an agent', () => {
  it('ends with the text of a decision that calls no tool', () => {
    given(...begun)
      .when(report([decided(1)]))
      .then(first(completed(1)), first(fact('RunCompleted', { output: 'so be it', endedAtMs: START_MS })));
  });

  it('intends each tool call of a decision, in its order', () => {
    const calls = [use('pay', 'a'), use('lookup', 'b')];
    given(...begun)
      .when(report([decided(1, ...calls)]))
      .then(first(completed(1, ...calls)), first(intended('t1.0', 'pay', 'a')), first(intended('t1.1', 'lookup', 'b')));
  });

  it('goes on to the next turn when the last of parallel tool calls has ended', () => {
    const open = [...begun, completed(1), intended('t1.0', 'pay'), intended('t1.1', 'lookup')];
    given(...open)
      .when(report([result('t1.1')]))
      .then(first(confirmed('t1.1')));
    given(...open, confirmed('t1.1'))
      .when(report([result('t1.0')]))
      .then(first(confirmed('t1.0')), first(modelCall(2)));
    given(...open)
      .when(report([result('t1.1'), result('t1.0')]))
      .then(first(confirmed('t1.1')), first(confirmed('t1.0')), first(modelCall(2)));
  });

  it('tells the worker in each state what it shall do', () => {
    const told = (...facts: readonly RunEvent[]) => instructionsOf(fold(decider, decider.initial, facts));
    const calls = [...begun, completed(1), intended('t1.0', 'pay', 'a'), intended('t1.1', 'lookup', 'b')];
    expect(told(...begun)).toEqual([{ do: 'call-model', call: 't1', attempt: 1 }]);
    expect(told(...calls)).toEqual([
      { do: 'run-tool', call: 't1.0', tool: 'pay', args: { n: 1 }, attempt: 1, toolCallId: 'a' },
      { do: 'run-tool', call: 't1.1', tool: 'lookup', args: { n: 1 }, attempt: 1, toolCallId: 'b' },
    ]);
    expect(told(...calls, confirmed('t1.0'))).toHaveLength(1);
    expect(told(...calls, confirmed('t1.0'), confirmed('t1.1'), modelCall(2))).toEqual([
      { do: 'call-model', call: 't2', attempt: 1 },
    ]);
    const cancel = fact('RunCancelRequested', { reason: 'no', commandId: commandIdAt(0), requestedAtMs: 0 });
    expect(told(...calls, cancel)).toEqual([]);
  });

  it('gives a tool name that does not exist back to the model', () => {
    given(...begun)
      .when(report([decided(1, use('guess'))]))
      .then(
        first(completed(1, use('guess'))),
        first({ ...intended('t1.0', 'guess'), data: { ...intended('t1.0', 'guess').data, effectClass: 'irreversible' } }),
        first(unknownTool('t1.0', 'guess')),
        first(modelCall(2)),
      );
  });

  it('does the other calls of a decision that also names a tool that does not exist', () => {
    const calls = [use('guess', 'a'), use('pay', 'b')];
    const events = given(...begun)
      .when(report([decided(1, ...calls)]))
      .accepted();
    expect(events.map(({ type }) => type)).toEqual(['ModelCallCompleted', 'EffectIntended', 'EffectFailed', 'EffectIntended']);
    given(...begun, ...events.map((event) => ({ ...event, report: undefined }) as unknown as RunEvent))
      .when(report([result('t1.1')]))
      .then(first(confirmed('t1.1')), first(modelCall(2)));
  });

  it('offers no tool that the build holds for others', () => {
    const build = knownCode(agentManifest({ tools: ['pay'] }), [toolManifest('pay'), toolManifest('delete-everything')]);
    const events = given(...begun)
      .when(report([decided(1, use('delete-everything'))], build))
      .accepted();
    expect(events.map(({ type }) => type)).toEqual(['ModelCallCompleted', 'EffectIntended', 'EffectFailed', 'ModelCallIntended']);
  });

  it('tells the model of many tools without telling a book', () => {
    const many = Array.from({ length: 500 }, (_, n) => `${'tool'.repeat(40)}-${n}`);
    const events = given(...begun)
      .when(
        report(
          [decided(1, use('guess'))],
          knownCode(
            agentManifest({ tools: many }),
            many.map((name) => toolManifest(name)),
          ),
        ),
      )
      .accepted();
    const failed = events.find(({ type }) => type === 'EffectFailed') as Extract<RunEvent, { type: 'EffectFailed' }>;
    expect(failed.data.error.message.length).toBeLessThanOrEqual(20_000);
  });

  it('fails at the limit of its turns, also when no tool of the last decision exists', () => {
    const third = [requested({ kind: 'agent', name: 'helper' }), assigned(), modelCall(3)];
    for (const tool of ['pay', 'guess']) {
      const events = given(...third)
        .when(report([decided(3, use(tool))]))
        .accepted();
      expect(events.map(({ type }) => type)).toEqual(['ModelCallCompleted', 'RunFailed']);
      expect(events[1]).toMatchObject({ data: { error: { code: 'TurnLimitReached' } } });
    }
    given(...third)
      .when(report([decided(3)]))
      .then(first(completed(3)), first(fact('RunCompleted', { output: 'so be it', endedAtMs: START_MS })));
  });

  it('fails when the model fails for good', () => {
    const failed: ProgressEntry = { type: 'model-result', call: 't1', attempt: 1, result: { ok: false, error } };
    given(...begun)
      .when(report([failed]))
      .then(
        first(fact('ModelCallFailed', { call: 't1', attempt: 1, error })),
        first(fact('RunFailed', { error, endedAtMs: START_MS })),
      );
  });

  it('waits for the model when its author said so', () => {
    const patient = knownCode(
      agentManifest({ modelRetry: { attemptsMax: 2, initialDelayMs: 100, factor: 2, delayMaxMs: 1_000 } }),
    );
    const failed: ProgressEntry = { type: 'model-result', call: 't1', attempt: 1, result: { ok: false, error } };
    const failing = fact('ModelCallFailed', { call: 't1', attempt: 1, error, retryAtMs: START_MS + 50 });
    const timer = fact('TimerSet', { timerId: 'retry-t1-1', purpose: 'retry', call: 't1', dueAtMs: START_MS + 50 });
    given(...begun)
      .when(report([failed], patient))
      .then(first(failing), first(timer));
    const state = fold(decider, decider.initial, [
      ...begun,
      failing,
      timer,
      fact('TimerFired', { timerId: 'retry-t1-1', dueAtMs: START_MS + 50 }),
    ]);
    expect(instructionsOf(state)).toEqual([{ do: 'call-model', call: 't1', attempt: 2 }]);
  });

  it('goes on after a tool that failed for good: the model sees why', () => {
    const terminal = { code: 'Broken', message: 'never', reaction: 'terminal' as const };
    const failed: ProgressEntry = { type: 'effect-result', call: 't1.0', attempt: 1, outcome: { ok: false, error: terminal } };
    given(...begun, completed(1), intended('t1.0', 'pay'))
      .when(report([failed]))
      .then(first(fact('EffectFailed', { call: 't1.0', attempt: 1, error: terminal })), first(modelCall(2)));
  });

  it('goes no further once the run is to be cancelled', () => {
    const cancel = fact('RunCancelRequested', { reason: 'no', commandId: commandIdAt(0), requestedAtMs: 0 });
    given(...begun, completed(1), intended('t1.0', 'pay'), cancel)
      .when(report([result('t1.0')]))
      .then(first(confirmed('t1.0')));
  });

  it("is the engine's: a worker cannot call the model on its own", () => {
    given(...begun)
      .when(report([{ type: 'model-intended', call: '9', model: 'other', promptHash: 'p' }]))
      .thenRejected('NotForAgents');
  });

  it("is the engine's: a worker cannot end the run on its own", () => {
    given(...begun)
      .when(report([{ type: 'completed', output: 'done' }]))
      .thenRejected('NotForAgents');
  });
});

describe('a tool that is an agent of its own', () => {
  const asks = toolManifest('ask', { child: { name: 'researcher', parentClose: 'request', deadlineMs: 9 } });
  const both = knownCode(agentManifest({ tools: ['ask', 'pay'] }), [asks, toolManifest('pay')]);
  const asked = fact('ChildRequested', {
    call: 't1.0',
    child: 'child-0-t1_0',
    name: 'researcher',
    input: { n: 1 },
    parentClose: 'request',
    deadlineMs: 9,
    asTool: { tool: 'ask', toolCallId: 'a' },
  });
  const outcome = { ok: true as const, value: 'tides' };
  const end = { command: { type: 'EndChild' as const, call: 't1.0', child: 'child-0-t1_0', outcome }, code: both };
  const at = report([]).at;

  it('is asked for as a run, and its end is the result that the model is shown', () => {
    given(...begun)
      .when(report([decided(1, use('ask'))], both))
      .then(first(completed(1, use('ask'))), first(asked));
    given(...begun, completed(1, use('ask')), asked, fact('RunSuspended', { epoch: 1 }))
      .when({ ...end, at })
      .then(
        fact('ChildEnded', { call: 't1.0', child: 'child-0-t1_0', outcome }),
        modelCall(2),
        fact('RunWoken', { preferredWorkerId: 'worker-1' }),
      );
  });

  it('is waited for together with the other tools of its turn', () => {
    const calls = [use('ask', 'a'), use('pay', 'b')];
    given(...begun, completed(1, ...calls), asked, intended('t1.1', 'pay', 'b'))
      .when({ ...end, at })
      .then(fact('ChildEnded', { call: 't1.0', child: 'child-0-t1_0', outcome }));
  });

  it('is brought its end again when the code of the agent is not known', () => {
    given(...begun, completed(1, use('ask')), asked)
      .when({ ...end, at, code: { behaviour: undefined, tool: () => undefined } })
      .thenRejected('UnknownAgent');
  });
});
