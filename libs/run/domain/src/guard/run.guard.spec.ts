import type { ModelDecision, ProgressEntry, RunEvent, ToolCall } from '@perdure/run-contract';
import type { BehaviourManifest } from '@perdure/tenant-contract';
import {
  agentManifest,
  commandIdAt,
  decision,
  knownCode,
  requested,
  specIdentities,
  START_MS,
  toolManifest,
  workflowManifest,
} from '@perdure/testing';
import type { DomainCommand } from '../run.commands';
import { runDecider } from '../run.decider';
import { instructionsOf } from '../run.effects';
import { isOpen, type OpenRun, type RunState } from '../run.state';
import { viewOf } from '../run.view';

/** A run that is played turn by turn, as its worker reports it. */
class Play {
  readonly events: RunEvent[] = [];
  private state: RunState = decider.initial;
  private seq = 0;
  private epoch = 1;
  private sent = 0;

  constructor(readonly behaviour: BehaviourManifest) {
    this.add(requested({ kind: behaviour.kind, name: behaviour.name, limits: limitsOf(behaviour) }));
    this.assign();
  }

  get run(): OpenRun {
    if (!isOpen(this.state)) throw new Error(`the run is ${this.state.status}`);
    return this.state;
  }

  get view() {
    if (this.state.status === 'none') throw new Error('there is no run');
    return viewOf({ tenant: 'acme', runId: 'r' }, this.state);
  }

  get told(): readonly string[] {
    return this.events.flatMap((event) =>
      event.type === 'ModelCallIntended' && event.data.tell !== undefined ? [event.data.tell] : [],
    );
  }

  types(from = 0): readonly string[] {
    return this.events.slice(from).map(({ type }) => type);
  }

  send(command: DomainCommand): void {
    const refused = this.refusalOf(command);
    if (refused !== undefined) throw new Error(`refused as ${refused}`);
  }

  refusalOf(command: DomainCommand): string | undefined {
    this.sent += 1;
    const nowMs = START_MS + this.sent;
    const at = { nowMs, commandId: commandIdAt(nowMs, this.sent), fraction: 0.5 };
    const decided = decider.decide(
      { command, at, code: knownCode(this.behaviour, [toolManifest('pay'), toolManifest('lookup')]) },
      this.state,
    );
    if ('rejected' in decided) return decided.rejected.code;
    decided.accepted.forEach((event) => this.add(event));
    return undefined;
  }

  report(...entries: readonly ProgressEntry[]): void {
    this.seq += 1;
    this.send({ type: 'RecordProgress', epoch: this.epoch, seq: this.seq, entries: [...entries] });
  }

  decides(data: Partial<ModelDecision>): void {
    this.report({ type: 'model-result', call: `t${this.run.turn}`, attempt: 1, result: { ok: true, decision: decision(data) } });
  }

  /** One turn: the model asks for these, and each gives the result, or is refused. */
  turn(
    calls: readonly ToolCall[],
    outcome: (call: ToolCall) => Extract<ProgressEntry, { type: 'effect-result' }>['outcome'],
  ): void {
    const { turn } = this.run;
    this.decides({ toolCalls: [...calls] });
    calls.forEach((call, index) => {
      if (this.state.status !== 'ended' && this.run.calls.has(`t${turn}.${index}`))
        this.report({ type: 'effect-result', call: `t${turn}.${index}`, attempt: 1, outcome: outcome(call) });
    });
  }

  /** The worker lets go, as it is asked to, and after the resumption another takes it up. */
  goOn(resume: Partial<Extract<DomainCommand, { type: 'ResumeRun' }>> = {}): void {
    this.report({ type: 'handed-over' });
    this.send({ type: 'ResumeRun', reason: 'go on', ...resume });
    this.assign();
  }

  assign(): void {
    this.send({
      type: 'ReleaseRun',
      permitId: `p${this.sent}`,
      term: 1,
      workerId: 'w',
      sessionId: 's',
      buildId: 'b',
      notAfterMs: START_MS * 2,
    });
    this.epoch = this.run.epoch;
    this.seq = 0;
  }

  private add(event: RunEvent): void {
    this.events.push(event);
    this.state = decider.evolve(this.state, event);
  }
}

const decider = runDecider(specIdentities);
const limitsOf = ({ limits: { wallTimeMs: _deadline, ...limits } }: BehaviourManifest) => limits;
const played = (limits: Partial<BehaviourManifest['limits']> = {}, data: Partial<BehaviourManifest> = {}) =>
  new Play(agentManifest({ limits: { turnsMax: 100, onLimit: 'pause', ...limits }, ...data }));
const use = (tool: string, n = 0): ToolCall => ({ toolCallId: `c${n}`, tool, args: { n } });
const ok = (value: unknown) => () => ({ ok: true as const, value });
const misfit = () => ({
  ok: false as const,
  error: { code: 'InvalidArguments', message: 'n: a number is wanted', reaction: 'terminal' as const },
});
const rounds = (count: number, play: (round: number) => void): void =>
  Array.from({ length: count }).forEach((_, round) => play(round));

describe('what a run has used', () => {
  it('is counted over all its model calls and tools, and told while it lives and after its end', () => {
    const run = played();
    run.turn([use('pay'), use('lookup')], ok(1));
    run.decides({
      text: 'done',
      usage: { inputTokens: 5, outputTokens: 1, cachedInputTokens: 4, reasoningTokens: 1 },
      cost: { microUsd: 7, source: 'prices' },
    });
    const spent = {
      modelCalls: 2,
      toolCalls: 2,
      inputTokens: 15,
      outputTokens: 3,
      cachedInputTokens: 4,
      reasoningTokens: 1,
      costMicroUsd: 7,
      unpricedCalls: 1,
    };
    expect(run.view).toMatchObject({ status: 'ended', turn: 2, spent });
  });
});

describe('a limit', () => {
  it.each([
    ['turns', { turnsMax: 2 }, { turns: 3 }, { turnsMax: 5 }],
    ['tool-calls', { toolCallsMax: 1 }, { toolCalls: 2 }, { toolCallsMax: 4 }],
    ['tokens', { tokensMax: 20 }, { tokens: 30 }, { tokensMax: 54 }],
    ['cost', { costMicroUsdMax: 9 }, { costMicroUsd: 5 }, { costMicroUsdMax: 15 }],
  ] as const)('of %s pauses the run before it begins more, until somebody extends it', (...row) => {
    const [limit, limits, extend, raised] = row;
    const run = played(limits);
    const cost = { microUsd: 5, source: 'provider' as const };
    rounds(2, (round) => {
      run.decides({ toolCalls: [use('pay', round)], cost });
      if (run.run.calls.has(`t${round + 1}.0`) && run.run.pause === undefined)
        run.report({ type: 'effect-result', call: `t${round + 1}.0`, attempt: 1, outcome: { ok: true, value: round } });
    });
    expect(run.types().slice(-2)).toEqual(['LimitReached', 'RunPauseRequested']);
    expect(run.events.at(-2)).toMatchObject({ data: { limit, action: 'pause' } });
    expect(instructionsOf(run.run)).toEqual([]);
    run.report({ type: 'handed-over' });
    expect(run.view.waitingOn[0]).toMatchObject({ promise: 'resume', keeper: 'person' });
    expect(run.view.waitingOn[0]?.closedBy).toContain(`--extend ${limit}=`);
    expect(run.refusalOf({ type: 'ResumeRun', reason: 'just so' })).toBe('LimitExhausted');
    run.send({ type: 'ResumeRun', reason: 'one more', extend });
    run.assign();
    expect(run.run.limits).toMatchObject(raised);
    expect(instructionsOf(run.run)).toHaveLength(1);
  });

  it('fails the run where its author says so', () => {
    const run = played({ tokensMax: 12, onLimit: 'fail' });
    run.turn([use('pay')], ok(1));
    expect(run.types().slice(-3)).toEqual(['ModelCallIntended', 'LimitReached', 'RunFailed']);
    expect(run.view.outcome).toMatchObject({ status: 'failed', error: { code: 'LimitReached' } });
  });

  it('does not stand in the way of an answer', () => {
    const run = played({ turnsMax: 1, tokensMax: 1 });
    run.decides({ text: 'so be it' });
    expect(run.view.outcome).toMatchObject({ status: 'completed' });
  });

  it('holds for a workflow too, whose call is held back', () => {
    const run = new Play(workflowManifest({ limits: { turnsMax: 100, toolCallsMax: 1, onLimit: 'pause' } }));
    const intends = (call: string): ProgressEntry => ({ type: 'effect-intended', call, tool: 'pay', args: {}, argsHash: 'h' });
    run.report(intends('1'), { type: 'effect-result', call: '1', attempt: 1, outcome: { ok: true, value: 1 } });
    run.report(intends('2'));
    expect(run.types().slice(-3)).toEqual(['EffectIntended', 'LimitReached', 'RunPauseRequested']);
    run.goOn({ extend: { toolCalls: 1 } });
    expect(instructionsOf(run.run)).toMatchObject([{ do: 'run-tool', call: '2' }]);
  });

  it('is told once, however often the worker reports before it lets go', () => {
    const run = played({ toolCallsMax: 1 });
    run.turn([use('pay', 1), use('pay', 2)], ok(1));
    expect(run.types().filter((type) => type === 'LimitReached')).toHaveLength(1);
  });
});

describe('an agent that goes in circles', () => {
  it('is told so, then held for a person, then ended, with a whole allowance each time', () => {
    const run = played();
    rounds(4, () => run.turn([use('lookup')], ok('the same')));
    expect(run.types().slice(-3)).toEqual(['EffectConfirmed', 'LoopSuspected', 'ModelCallIntended']);
    expect(run.told).toHaveLength(1);
    expect(instructionsOf(run.run)).toMatchObject([
      { do: 'call-model', call: 't5', tell: expect.stringContaining('lookup') as string },
    ]);
    rounds(4, () => run.turn([use('lookup')], ok('the same')));
    expect(run.types().slice(-3)).toEqual(['LoopSuspected', 'ModelCallIntended', 'RunPauseRequested']);
    run.goOn();
    rounds(4, () => run.turn([use('lookup')], ok('the same')));
    expect(run.types().slice(-2)).toEqual(['LoopSuspected', 'RunFailed']);
    expect(run.view.outcome).toMatchObject({ status: 'failed', error: { code: 'LoopDetected' } });
  });

  it('is noticed though other calls lie between', () => {
    const run = played();
    rounds(4, (round) =>
      run.turn([use('lookup'), use('pay', round + 1)], ({ tool }) => ({ ok: true, value: tool === 'pay' ? round : 'the same' })),
    );
    expect(run.types()).toContain('LoopSuspected');
  });

  it('is not one that gets other results, or asks for something else', () => {
    const run = played();
    rounds(15, (round) => run.turn([use('lookup')], ok(round)));
    rounds(15, (round) => run.turn([use('pay', round)], ok('the same')));
    expect(run.types()).not.toContain('LoopSuspected');
  });

  it('is one that fails in ever new ways', () => {
    const run = played();
    rounds(8, (round) =>
      run.turn([use('lookup', round)], () => ({
        ok: false,
        error: { code: 'Broken', message: `no ${round}`, reaction: 'terminal' },
      })),
    );
    expect(run.events.find(({ type }) => type === 'LoopSuspected')).toMatchObject({ data: { because: 'no-progress', times: 8 } });
  });

  it('has recovered when it has made progress for a while', () => {
    const run = played();
    rounds(4, () => run.turn([use('lookup')], ok('the same')));
    rounds(20, (round) => run.turn([use('lookup')], ok(round)));
    rounds(4, () => run.turn([use('lookup')], ok('the same')));
    expect(run.events.filter(({ type }) => type === 'LoopSuspected')).toMatchObject([
      { data: { action: 'nudge' } },
      { data: { action: 'nudge' } },
    ]);
  });

  it('is nobody where its author wants it so', () => {
    const run = played({}, { guard: { repeatsMax: 0, barrenTurnsMax: 0 } });
    rounds(30, () => run.turn([use('lookup')], ok('the same')));
    expect(run.types()).not.toContain('LoopSuspected');
  });
});

describe('a model that cannot call its tools', () => {
  it('fails the run after three turns of arguments that do not fit or tools that do not exist', () => {
    const run = played();
    run.turn([use('pay')], misfit);
    run.turn([use('guess')], misfit);
    expect(run.types().slice(-1)).toEqual(['ModelCallIntended']);
    run.turn([use('pay', 1), use('pay', 2)], misfit);
    expect(run.view.outcome).toMatchObject({ status: 'failed', error: { code: 'InvalidToolArguments' } });
  });

  it('is forgiven what is taken back with a rewind', () => {
    const run = played();
    const asOf = run.events.length - 1;
    const past = run.run;
    run.turn([use('pay')], misfit);
    run.turn([use('guess')], misfit);
    const nothingSince = { outcomes: new Map(), sentSince: [], approvals: new Map() };
    run.send({ type: 'RewindRun', to: asOf, past, asOf: run.events.length - 1, reason: 'misread', ...nothingSince });
    run.assign();
    run.turn([use('pay')], misfit);
    run.turn([use('pay')], misfit);
    expect(run.view.outcome).toBeUndefined();
    run.turn([use('pay')], misfit);
    expect(run.view.outcome).toMatchObject({ error: { code: 'InvalidToolArguments' } });
  });

  it('may go on as long as something of what it asks for can run', () => {
    const run = played();
    rounds(6, (round) =>
      run.turn([use('pay', round), use('lookup', round)], ({ tool }) => (tool === 'pay' ? misfit() : { ok: true, value: round })),
    );
    expect(run.types()).not.toContain('RunFailed');
  });
});

describe('an output of a certain form', () => {
  const outputSchema = { type: 'object' };

  it('is the output of the run', () => {
    const run = played({}, { outputSchema });
    run.decides({ text: '{"total":12}', output: { total: 12 } });
    expect(run.view.outcome).toEqual({ status: 'completed', output: { total: 12 } });
  });

  it('is asked for again, saying what is wrong, three times at most', () => {
    const run = played({}, { outputSchema });
    rounds(2, () => run.decides({ text: 'twelve', outputProblem: 'total: a number is wanted' }));
    expect(run.told).toHaveLength(2);
    expect(run.told[0]).toContain('total: a number is wanted');
    run.decides({ text: 'twelve', outputProblem: 'total: a number is wanted' });
    expect(run.view.outcome).toMatchObject({ status: 'failed', error: { code: 'InvalidModelOutput' } });
  });

  it('counts anew after a decision that was not an answer', () => {
    const run = played({}, { outputSchema });
    rounds(2, () => run.decides({ text: 'twelve', outputProblem: 'no' }));
    run.turn([use('lookup')], ok(1));
    rounds(2, () => run.decides({ text: 'twelve', outputProblem: 'no' }));
    expect(run.types()).not.toContain('RunFailed');
  });
});
