import type { ProgressEntry, RunEvent } from '@perdure/run-contract';
import {
  assigned,
  commandIdAt,
  deciderSpec,
  fact,
  knownCode,
  reported,
  requested,
  specIdentities,
  START_MS,
  workflowManifest,
} from '@perdure/testing';
import { nothingSpent } from '../guard/run.guard';
import type { DomainCommand, EndChild } from '../run.commands';
import { runDecider } from '../run.decider';
import { evolve } from '../run.evolve';
import { isOpen, noRun, type OpenRun, type RunState } from '../run.state';
import { viewOf } from '../run.view';

const decider = runDecider(specIdentities);
const given = deciderSpec(decider);
const at = { nowMs: START_MS, commandId: commandIdAt(START_MS, 7), fraction: 0.5 };
const when = (command: DomainCommand) => ({ command, at, code: knownCode(workflowManifest()) });
const report = (seq: number, ...entries: readonly ProgressEntry[]) =>
  when({ type: 'RecordProgress', epoch: 1, seq, entries: [...entries] });

const asks: ProgressEntry = { type: 'child-requested', call: '4', name: 'helper', input: { n: 1 }, parentClose: 'cancel' };
const CHILD = 'child-0-4';
const asked = (more: object = {}) =>
  fact('ChildRequested', { call: '4', child: CHILD, name: 'helper', input: { n: 1 }, parentClose: 'cancel', ...more });
const end = (more: Partial<EndChild> = {}): EndChild => ({
  type: 'EndChild',
  call: '4',
  child: CHILD,
  outcome: { ok: true, value: 9 },
  ...more,
});
const ended = fact('ChildEnded', { call: '4', child: CHILD, outcome: { ok: true, value: 9 } });
const active = [requested(), assigned()];
const suspended = fact('RunSuspended', { epoch: 1 });
const cancelRequested = fact('RunCancelRequested', { reason: 'enough', commandId: at.commandId, requestedAtMs: START_MS });
const cancelled = fact('RunCancelled', { reason: 'enough', endedAtMs: START_MS });

function stateOf(...facts: readonly RunEvent[]): OpenRun {
  const state = facts.reduce<RunState>(evolve, noRun);
  if (!isOpen(state)) throw new Error('it has ended');
  return state;
}

describe('a child', () => {
  it('is asked for under an id that follows from who asks, and in which branch', () => {
    given(...active)
      .when(report(1, asks))
      .then(reported(1, 1, asked()));
  });

  it('is asked for once by a call', () => {
    given(...active, asked())
      .when(report(1, asks))
      .thenRejected('CallConflict');
  });

  it('wakes its parent with its end', () => {
    given(...active, asked(), suspended)
      .when(when(end()))
      .then(ended, fact('RunWoken', { preferredWorkerId: 'worker-1' }));
    const { inbound, calls } = stateOf(...active, asked(), ended);
    expect(inbound).toMatchObject([{ call: '4', kind: 'child', name: 'helper', outcome: { ok: true, value: 9 } }]);
    expect(calls.size).toBe(0);
  });

  it('that ends twice, or is another than was asked for, changes nothing', () => {
    given(...active, asked(), ended)
      .when(when(end()))
      .thenNothing();
    given(...active, asked())
      .when(when(end({ child: 'child-of-another' })))
      .thenNothing();
  });

  it('that is detached ends its call with its start', () => {
    const started = fact('ChildStarted', { call: '4', child: CHILD });
    given(...active, asked({ detached: true }), suspended)
      .when(when({ type: 'NoteChildStarted', call: '4', child: CHILD }))
      .then(started, fact('RunWoken', { preferredWorkerId: 'worker-1' }));
    expect(stateOf(...active, asked({ detached: true }), started).inbound).toMatchObject([
      { outcome: { ok: true, value: { runId: CHILD } } },
    ]);
  });

  it('of which nobody is sure yet lets its parent be suspended', () => {
    given(...active, asked())
      .when(report(1, { type: 'suspended' }))
      .then(reported(1, 1, suspended));
  });
});

describe('a parent that is cancelled', () => {
  it('waits for the children that are cancelled with it', () => {
    given(...active, asked(), suspended)
      .when(when({ type: 'CancelRun', reason: 'enough' }))
      .then(cancelRequested);
    given(...active, asked(), cancelRequested)
      .when(report(1, { type: 'cancelled' }))
      .then(reported(1, 1, suspended));
    given(...active, asked(), suspended, cancelRequested)
      .when(when(end()))
      .then(ended, cancelled);
  });

  it.each(['request', 'abandon'] as const)('does not wait for those whose policy is %s', (parentClose) => {
    given(...active, asked({ parentClose }), suspended)
      .when(when({ type: 'CancelRun', reason: 'enough' }))
      .then(cancelRequested, cancelled);
  });

  it('does not wait for ever', () => {
    given(...active, asked(), suspended, cancelRequested)
      .when(when({ type: 'EnforceCancel', epoch: 1 }))
      .then(cancelled);
  });
});

describe('what the children of a run use', () => {
  const spent = { ...nothingSpent, inputTokens: 900, costMicroUsd: 70 };

  it('is told with what it uses itself', () => {
    const run = stateOf(...active, asked(), fact('ChildEnded', { ...ended.data, spent }));
    const view = viewOf({ tenant: 'acme', runId: 'run1' }, run);
    expect(view).toMatchObject({ spent: { inputTokens: 0 }, spentByTree: { inputTokens: 900, costMicroUsd: 70 } });
  });

  it('counts for its limits', () => {
    const limited = requested({ limits: { tokensMax: 500, onLimit: 'fail' } });
    const model: ProgressEntry = { type: 'model-intended', call: '5', model: 'm', promptHash: 'p' };
    const decision = decider.decide(
      report(1, model),
      stateOf(limited, assigned(), asked(), fact('ChildEnded', { ...ended.data, spent })),
    );
    expect(decision).toMatchObject({ accepted: expect.arrayContaining([expect.objectContaining({ type: 'LimitReached' })]) });
  });
});

describe('an open child', () => {
  it('is another run in a fork and in a branch', () => {
    const past = stateOf(...active, asked(), suspended);
    const asksAgain = { outcomes: new Map(), approvals: new Map() };
    const { kind, name, pool, input } = past.request;
    const fork = { type: 'RequestFork' as const, kind, name, pool, input, requestHash: 'f', past, approvals: new Map() };
    const forked = decider.decide(when({ ...fork, source: { runId: 'r', revision: 3 } }), noRun);
    expect(forked).toMatchObject({ accepted: expect.arrayContaining([asked()]) });
    const rewind = { type: 'RewindRun' as const, to: 3, past, asOf: 3, ...asksAgain, sentSince: [], reason: 'x' };
    const rewound = decider.decide(when(rewind), past);
    expect(rewound).toMatchObject({ accepted: expect.arrayContaining([asked({ child: 'child-1-4' })]) });
  });
});
