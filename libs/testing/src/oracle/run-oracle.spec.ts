import * as fc from 'fast-check';
import { momentAt } from '@perdure/run-application';
import { journalLength, runDecider, tailItems, type RunState } from '@perdure/run-domain';
import { assigned, commandIdAt, fact, requested, sleepSet, START_MS } from '../fixtures/run-facts';
import { executionsIn, heartbeatsIn } from '../checkers/live-state-audit';
import { moves, playRun } from '../histories/random-run';
import type { OracleRun } from './notes';
import { specIdentities } from '../fixtures/run-facts';
import { oracleOf } from './run-oracle';

/** What the real fold says of the same things; an ended run keeps its end only. */
function seen(state: RunState): Partial<OracleRun> {
  if (state.status === 'none') return { status: 'none' };
  const { status, epoch, branch } = state;
  if (status === 'ended') return { status, epoch, branch, outcome: state.outcome.status };
  return {
    status,
    epoch,
    branch,
    outcome: undefined,
    turn: state.turn,
    build: state.pin,
    journalLength: journalLength(state.journal),
    openCalls: [...state.calls.keys()].sort(),
    openTimers: [...state.timers.keys()].sort(),
    executions: executionsIn(state),
    heartbeats: heartbeatsIn(state),
    unread: state.signals.map(({ name }) => name),
    toUndo: state.undo.entries.map(({ call }) => call),
    deliveredCalls: tailItems(state.journal)
      .filter((item) => item.type !== 'made')
      .map((item) => item.call),
  };
}

const EFFECT_TYPES = [
  'EffectDispatched',
  'EffectNotStarted',
  'EffectUnknown',
  'EffectProbed',
  'EffectQuestioned',
  'EffectReconciled',
  'EffectConfirmed',
  'EffectProgressed',
];
const OF_WORKFLOWS = [
  'SignalReceived',
  'SignalAwaited',
  'RunRewound',
  'ChildRequested',
  'ChildStarted',
  'ChildEnded',
  'MessageSent',
  'MessageDelivered',
  'MessageRefused',
  'TaskAsked',
  'TaskAnswered',
  'TaskDelegated',
  'TaskReminded',
  'TaskEscalated',
  'TaskExpired',
  'RunContinued',
];

describe('the oracle and the fold of the domain', () => {
  it.each(['workflow', 'agent'] as const)('agree on a %s at every revision', (kind) => {
    const ended = new Set<string>();
    const types = new Set<string>();
    fc.assert(
      fc.property(moves, (given) => {
        const { events, states } = playRun(kind, given);
        const stored = JSON.parse(JSON.stringify(events)) as { type: string; data: unknown }[];
        events.forEach(({ type }) => types.add(type));
        states.forEach((state, revision) => {
          expect(oracleOf(stored.slice(0, revision + 1))).toMatchObject(seen(state));
          if (state.status === 'ended') ended.add(state.outcome.status);
        });
      }),
      { numRuns: 300, seed: 20_260_101 },
    );
    const wanted = kind === 'agent' ? ['SignalReceived', 'RunRewound'] : OF_WORKFLOWS;
    expect(wanted.filter((type) => !types.has(type))).toEqual([]);
    expect(EFFECT_TYPES.filter((type) => !types.has(type))).toEqual([]);
    // A generator that never comes to an end would agree about nothing.
    expect([...ended].sort()).toEqual(expect.arrayContaining(['cancelled', 'completed', 'failed', 'timed-out']));
  });
});

describe('a fork', () => {
  const decider = runDecider(specIdentities);

  it.each(['workflow', 'agent'] as const)('of a %s at any revision folds, and the oracle agrees', (kind) => {
    fc.assert(
      fc.property(moves, fc.nat(), (given, pick) => {
        const { events } = playRun(kind, given);
        const { run: past, revision, approvals } = momentAt(events, pick % events.length);
        fc.pre(past.ending === undefined);
        const { name, pool, input } = past.request;
        const command = { type: 'RequestFork' as const, kind, name, pool, input, requestHash: 'fork', past, approvals };
        const at = { nowMs: START_MS, commandId: commandIdAt(START_MS), fraction: 0.5 };
        const code = { behaviour: undefined, tool: () => undefined };
        const source = { runId: 'source', revision };
        const decision = decider.decide({ command: { ...command, source }, at, code }, decider.initial);
        if ('rejected' in decision) throw new Error(decision.rejected.code);
        const states = decision.accepted.map((_, index) =>
          decision.accepted.slice(0, index + 1).reduce<RunState>(decider.evolve, decider.initial),
        );
        const stored = JSON.parse(JSON.stringify(decision.accepted)) as { type: string; data: unknown }[];
        states.forEach((state, index) => expect(oracleOf(stored.slice(0, index + 1))).toMatchObject(seen(state)));
      }),
      { numRuns: 300, seed: 20_260_102 },
    );
  });
});

describe('the oracle', () => {
  it('refuses what cannot have happened', () => {
    const end = fact('RunCompleted', { output: 1, endedAtMs: 1 });
    expect(() => oracleOf([requested(), assigned(), end, end])).toThrow('follows the end');
    expect(() => oracleOf([assigned()])).toThrow();
    expect(() => oracleOf([requested(), requested()])).toThrow();
    expect(() => oracleOf([requested(), assigned(2), assigned(2)])).toThrow('again');
    expect(() => oracleOf([requested(), { type: 'RunTeleported', data: {} }])).toThrow('does not know');
    const delivered = fact('StepsRecorded', { entries: [{ type: 'delivered', call: '1', revision: 2 }] });
    expect(() => oracleOf([requested(), assigned(), sleepSet('1'), delivered])).toThrow('has not come');
  });
});
