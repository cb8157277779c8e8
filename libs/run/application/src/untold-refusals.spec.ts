import { fold } from '@perdure/kernel';
import { runAddress, type ProgressEntry, type RunEvent } from '@perdure/run-contract';
import { evolve, noRun, type DomainCommand, type RunState } from '@perdure/run-domain';
import { assigned, fact, intendedEffect, ManualHost, requested, START_MS } from '@perdure/testing';
import type { Judged } from './run.actor';
import { UntoldRefusals } from './untold-refusals';

const address = runAddress('acme', 'run1');
const LINE_EVERY_MS = 10_000;
const asked = fact('ApprovalRequested', {
  ...{ call: '1', tool: 'pay', toolVersion: 'v', argsHash: 'h', shownHash: 's', policy: 'large', policyVersion: 1 },
  ...{ roles: ['finance'], quorum: 1, separationOfDuties: true, requestedBy: 'ada', name: 'invoice' },
  ...{ requestedAtMs: START_MS, expiresAtMs: START_MS, escalations: [] },
});
const granted = fact('ApprovalGranted', { call: '1', grantId: 'g', argsHash: 'h', approvers: ['grace'], expiresAtMs: START_MS });
const claimed = { call: '1', attempt: 1, executionId: 'x1' };
const dispatched = fact('EffectDispatched', { ...claimed, startByMs: 1, overByMs: 2, hasProbe: false, grantId: 'g' });

function stateAfter(told: number, ...more: readonly RunEvent[]): RunState {
  const tried = (n: number) => fact('ApprovalRefused', { call: '1', code: 'X', message: 'no', by: 'eve', commandId: `c${n}` });
  const facts = [
    requested(),
    assigned(),
    intendedEffect('1'),
    asked,
    ...Array.from({ length: told }, (_, n) => tried(n)),
    ...more,
  ];
  return fold({ evolve }, noRun, facts);
}

const progress = (...entries: readonly ProgressEntry[]): DomainCommand => ({
  type: 'RecordProgress',
  epoch: 1,
  seq: 1,
  entries: [...entries],
});
const claim: ProgressEntry = { type: 'effect-claimed', ...claimed };
const result: ProgressEntry = { type: 'effect-result', call: '1', attempt: 1, outcome: { ok: true, value: 'paid' } };
const rejected = (details: object): Judged => ({
  accepted: false,
  rejection: { code: 'SelfApproval', message: 'no', reaction: 'terminal', details: { ...details } },
});
const accepted = (state: RunState): Judged => ({ accepted: true, state });
const VOTE = { type: 'RecordVote' } as DomainCommand;

function seen(...cases: readonly (readonly [DomainCommand, Judged])[]) {
  const host = new ManualHost();
  const untold = new UntoldRefusals(host);
  for (const [command, judged] of cases) untold.see(address, command, judged);
  return { host, untold, counts: () => host.logged.map(({ fields }) => [fields['refused'], fields['sinceStart']]) };
}

describe('what is tried against an approval, and refused without a fact', () => {
  it.each<[string, DomainCommand, Judged]>([
    ['a vote', VOTE, rejected({ untold: true })],
    ['a claim of what waits', progress(claim), accepted(stateAfter(20))],
    ['a claim under another grant', progress(claim), accepted(stateAfter(20, granted))],
    ['a result of what was never begun', progress(result), accepted(stateAfter(20, granted))],
    ['a claim of a worker of its pool', { ...claimed, type: 'ClaimEffect' } as DomainCommand, accepted(stateAfter(20))],
  ])('is counted: %s', (_, command, judged) => {
    const { host } = seen([command, judged]);
    expect(host.logged).toMatchObject([{ level: 'warn', fields: { tenant: 'acme', runId: 'run1', refused: 1, sinceStart: 1 } }]);
  });

  it.each<[string, DomainCommand, Judged]>([
    ['a vote that is refused for another reason', VOTE, rejected({})],
    ['a vote that counts', VOTE, accepted(stateAfter(20))],
    ['what the log of the run still tells', progress(claim), accepted(stateAfter(19))],
    ['a claim that was granted', progress(claim), accepted(stateAfter(20, granted, dispatched))],
    ['what nobody need approve of', progress({ ...claim, call: '2' }), accepted(stateAfter(20, intendedEffect('2')))],
  ])('is not %s', (_, command, judged) => {
    expect(seen([command, judged]).host.logged).toEqual([]);
  });

  it('is told at once, and then by one line every ten seconds while it goes on', async () => {
    const trial = [VOTE, rejected({ untold: true })] as const;
    const { host, untold, counts } = seen(trial, trial, trial);
    expect(counts()).toEqual([[1, 1]]);
    await host.advance(LINE_EVERY_MS);
    expect(counts()).toEqual([
      [1, 1],
      [2, 3],
    ]);
    await host.advance(LINE_EVERY_MS);
    expect([counts().length, host.timersPending]).toEqual([2, 0]);
    untold.see(address, ...trial);
    expect(counts().at(-1)).toEqual([1, 4]);
    untold.stop();
    expect(host.timersPending).toBe(0);
  });
});
