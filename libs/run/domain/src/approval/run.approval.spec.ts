import { fold } from '@perdure/kernel';
import type { ProgressEntry, RunEvent } from '@perdure/run-contract';
import { assigned, decision, fact, intendedEffect, lost, progress, reported, requested, toolManifest } from '@perdure/testing';
import { approvalPolicy } from '@perdure/tenant-contract';
import {
  approved,
  ARGS,
  ask,
  asked,
  begun,
  code,
  decider,
  escalationCancelled,
  escalationSet,
  ESCALATES_MS,
  expirySet,
  EXPIRES_MS,
  given,
  granted,
  GRANT_ID,
  idOf,
  POLICY,
  recording,
  reporting,
  suspended,
  voted,
  voteOf,
  waiting,
  WOKEN,
} from './approval.world';
import { APPROVAL_REFUSALS_KEPT } from '../bounds';
import { instructionsOf } from '../run.effects';
import { isOpen, noRun, type OpenRun } from '../run.state';
import { viewOf } from '../run.view';

const stateAfter = (...facts: readonly RunEvent[]): OpenRun => {
  const state = fold({ evolve: decider.evolve }, noRun, facts);
  if (!isOpen(state)) throw new Error('the run is over');
  return state;
};
const first = (...events: readonly RunEvent[]) => events.map((event) => reported(1, 1, event));
const refusal = (codeOf: string, by: string, n = 1) =>
  expect.objectContaining({
    type: 'ApprovalRefused',
    data: expect.objectContaining({ call: '1', code: codeOf, by, commandId: idOf(n) }) as unknown,
  }) as unknown as RunEvent;

describe('an effect that needs an approval', () => {
  const intends: ProgressEntry = {
    type: 'effect-intended',
    call: '1',
    tool: 'pay',
    args: ARGS,
    argsHash: 'what the worker says',
  };

  it('is asked for in the same append as its intention, with the hash that the owner makes itself', () => {
    const intention = intendedEffect('1', { effectClass: 'irreversible', argsHash: 'what the worker says' });
    given(...begun)
      .when(reporting(intends))
      .then(...first(intention, asked(), expirySet, escalationSet));
  });

  it('is asked for by the decision of an agent, too', () => {
    const toolCalls = [{ toolCallId: 'c1', tool: 'pay', args: ARGS }];
    const turn: readonly RunEvent[] = [
      requested({ kind: 'agent', name: 'helper' }),
      assigned(),
      fact('ModelCallIntended', { call: 't1', turn: 1, model: 'scripted-1' }),
    ];
    const report = progress(
      {},
      { type: 'model-result', call: 't1', attempt: 1, result: { ok: true, decision: decision({ toolCalls }) } },
    );
    const types = given(...turn)
      .when({ ...report, code: code(POLICY, 'agent') })
      .accepted();
    expect(types.map(({ type }) => type)).toEqual([
      'ModelCallCompleted',
      'EffectIntended',
      'ApprovalRequested',
      'TimerSet',
      'TimerSet',
    ]);
  });

  it('needs none when no policy applies', () => {
    const types = given(...begun)
      .when({ ...reporting(intends), code: { ...code(), approvalOf: () => undefined } })
      .accepted();
    expect(types.map(({ type }) => type)).toEqual(['EffectIntended']);
  });

  it('is not begun before it is granted, and then with the votes', () => {
    expect(instructionsOf(stateAfter(...waiting))).toEqual([]);
    expect(instructionsOf(stateAfter(...waiting, voted('grace', 1)))).toEqual([]);
    const grant = { grantId: GRANT_ID, votes: [voteOf('grace'), voteOf('edsger')] };
    expect(instructionsOf(stateAfter(...approved))).toEqual([
      { do: 'run-tool', call: '1', tool: 'pay', args: ARGS, attempt: 1, mustClaim: true, grant },
    ]);
  });

  it('is named as what the run waits for, with who may decide and until when', () => {
    const view = viewOf({ tenant: 'acme', runId: 'run-1' }, stateAfter(...waiting, suspended));
    expect(view.waitingOn).toEqual([
      expect.objectContaining({ promise: 'approval', keeper: 'person', id: '1', dueAtMs: EXPIRES_MS }),
    ]);
    expect(view.waitingOn[0]?.closedBy).toContain('2 persons with the role finance other than ada');
  });
});

describe('a vote', () => {
  it('counts, and wakes the run when enough agree', () => {
    given(...waiting, suspended)
      .when(ask(recording(voteOf('grace'), { reason: 'fine' })))
      .then(voted('grace', 1, { reason: 'fine' }));
    given(...waiting, voted('grace', 1), suspended)
      .when(ask(recording(voteOf('edsger')), { n: 2 }))
      .then(voted('edsger', 2), granted(), escalationCancelled, WOKEN);
  });

  it('is repeated without consequence', () => {
    given(...waiting, voted('grace', 1))
      .when(ask(recording(voteOf('grace'))))
      .thenNothing();
  });

  it('for other arguments counts for those alone, and they are executed when enough agree on them', () => {
    const args = { amount: 3 };
    const argsHash = JSON.stringify(args);
    const edited = (approver: string) => voteOf(approver, { argsHash });
    const before = [
      ...waiting,
      voted('grace', 1),
      fact('ApprovalVoted', { call: '1', vote: edited('alan'), args, commandId: idOf(2) }),
    ];
    const after = given(...before)
      .when(ask(recording(edited('edsger'), { args }), { n: 3 }))
      .accepted();
    expect(after[1]).toMatchObject({ type: 'ApprovalGranted', data: { argsHash, args, approvers: ['alan', 'edsger'] } });
    const [instruction] = instructionsOf(stateAfter(...before, ...after));
    expect(instruction).toMatchObject({ args, editedBy: ['alan', 'edsger'] });
  });

  it('against it is enough: the effect fails, and the code is told why', () => {
    const vote = voteOf('grace', { decision: 'deny' });
    const error = { code: 'ApprovalDenied', message: 'grace did not approve of pay: too much', reaction: 'terminal' as const };
    const denial = fact('ApprovalDenied', { call: '1', vote, reason: 'too much', commandId: idOf(1) });
    const failed = fact('EffectFailed', { call: '1', attempt: 1, error });
    given(...waiting, suspended)
      .when(ask(recording(vote, { reason: 'too much' })))
      .then(denial, escalationCancelled, failed, WOKEN);
    expect(stateAfter(...waiting, denial, escalationCancelled, failed).inbound).toMatchObject([
      { call: '1', outcome: { ok: false, error } },
    ]);
  });
});

describe('what is tried against an approval is a fact, and changes nothing else', () => {
  it.each([
    ['OtherRequest', voteOf('grace', { call: '2' })],
    ['OtherRequest', voteOf('grace', { toolVersion: 'another' })],
    ['OtherRequest', voteOf('grace', { shownHash: 'another' })],
    ['OtherRequest', voteOf('grace', { policyVersion: 5 })],
    ['OtherRequest', voteOf('grace', { quorum: 1 })],
    ['OtherRequest', voteOf('grace', { expiresAtMs: EXPIRES_MS + 1 })],
    ['WrongRole', voteOf('grace', { role: 'director' })],
    ['SelfApproval', voteOf('ada')],
    ['ChangedArguments', voteOf('grace', { argsHash: 'of others' })],
  ])('%s', (codeOf, vote) => {
    given(...waiting)
      .when(ask(recording(vote)))
      .then(refusal(codeOf, vote.statement.approver));
  });

  it('a vote of somebody who has voted', () => {
    given(...waiting, voted('grace', 1))
      .when(ask(recording(voteOf('grace', { id: 'another' })), { n: 2 }))
      .then(refusal('DuplicateVote', 'grace', 2));
  });

  it('arguments that do not come with the vote for them', () => {
    given(...waiting)
      .when(ask(recording(voteOf('grace'), { args: { amount: 500 } })))
      .then(refusal('ChangedArguments', 'grace'));
  });

  it('a vote that comes too late, or again after the decision', () => {
    given(...waiting)
      .when(ask(recording(voteOf('grace')), { nowMs: EXPIRES_MS }))
      .then(
        expect.objectContaining({ data: expect.objectContaining({ code: 'ApprovalExpired' }) as unknown }) as unknown as RunEvent,
      );
    given(...approved)
      .when(ask(recording(voteOf('alan')), { n: 3 }))
      .then(refusal('ApprovalClosed', 'alan', 3));
    given(...begun)
      .when(ask(recording(voteOf('alan')), { n: 3 }))
      .then(refusal('NoSuchApproval', 'alan', 3));
  });

  it('what the owner has found not to be signed', () => {
    const flaw = { code: 'BadSignature' as const, message: 'not signed' };
    given(...waiting)
      .when(ask({ ...recording(voteOf('grace')), flaw } as never))
      .then(refusal('BadSignature', 'grace'));
  });

  it('a claim without a grant, or with another', () => {
    const claim: ProgressEntry = { type: 'effect-claimed', call: '1', attempt: 1, executionId: 'x1' };
    const by = 'worker:worker-1';
    const told = (facts: readonly RunEvent[], entry: ProgressEntry) =>
      given(...facts)
        .when(reporting(entry))
        .accepted();
    expect(told(waiting, claim)).toMatchObject([{ type: 'ApprovalRefused', data: { code: 'GrantMissing', by } }]);
    expect(told(approved, claim)).toMatchObject([{ type: 'ApprovalRefused', data: { code: 'GrantMismatch', by } }]);
    expect(told(approved, { ...claim, grantId: 'another' })).toMatchObject([{ data: { code: 'GrantMismatch' } }]);
  });

  it('a result of what was never let begin', () => {
    const result: ProgressEntry = { type: 'effect-result', call: '1', attempt: 1, outcome: { ok: true, value: 'paid' } };
    expect(
      given(...approved)
        .when(reporting(result))
        .accepted(),
    ).toMatchObject([{ type: 'ApprovalRefused', data: { code: 'GrantMissing' } }]);
  });

  it('up to a bound, beyond which it is refused without one', () => {
    const tried = Array.from({ length: APPROVAL_REFUSALS_KEPT }, (_, n) =>
      fact('ApprovalRefused', { call: '1', code: 'WrongRole', message: 'no', by: 'vera', commandId: idOf(n + 10) }),
    );
    given(...waiting, ...tried)
      .when(ask(recording(voteOf('ada'))))
      .thenRejected('SelfApproval');
    given(...waiting, ...tried)
      .when(ask(recording(voteOf('ada')), { n: 10 }))
      .thenNothing();
  });
});

describe('a grant', () => {
  const claim: ProgressEntry = { type: 'effect-claimed', call: '1', attempt: 1, executionId: 'x1', grantId: GRANT_ID };

  it('lets the effect be claimed, and the claim names it', () => {
    const [dispatched] = given(...approved)
      .when(reporting(claim))
      .accepted();
    expect(dispatched).toMatchObject({ type: 'EffectDispatched', data: { executionId: 'x1', grantId: GRANT_ID } });
  });

  it('that was not used in time is over: the effect fails', () => {
    const types = given(...approved)
      .when(reporting(claim, { nowMs: EXPIRES_MS }))
      .accepted()
      .map(({ type }) => type);
    expect(types).toEqual(['ApprovalExpired', 'EffectFailed']);
  });

  it('whose expiry and whose claim have crossed lets nothing begin, and the claim is no mistake', () => {
    const expired = given(...approved)
      .when(ask({ type: 'FireTimer', timerId: 'approval-1-expiry' }, { nowMs: EXPIRES_MS }))
      .accepted();
    given(...approved, ...expired)
      .when(reporting(claim, { nowMs: EXPIRES_MS }))
      .then();
  });

  it('holds for the next attempt of an effect that may run again when its worker was lost', () => {
    const idempotent = approved.map((event) =>
      event.type === 'EffectIntended' ? { ...event, data: { ...event.data, effectClass: 'idempotent' as const } } : event,
    );
    const dispatched = given(...idempotent)
      .when(reporting(claim))
      .accepted();
    const cutOff = given(...idempotent, ...dispatched)
      .when(ask({ type: 'LoseActivation', epoch: 1, reason: 'worker-lost' }))
      .accepted();
    expect(cutOff.map(({ type }) => type)).toEqual(['EffectLost', 'ActivationLost']);
    const next = stateAfter(...idempotent, ...dispatched, ...cutOff, assigned(2));
    expect(instructionsOf(next)).toMatchObject([{ attempt: 2, mustClaim: true, grant: { grantId: GRANT_ID } }]);
  });

  it('is not believed by the worker: its error fails the effect, and is told', () => {
    const error = { code: 'GrantRefused', message: 'the grant is for other arguments', reaction: 'terminal' as const };
    const result: ProgressEntry = { type: 'effect-result', call: '1', attempt: 1, outcome: { ok: false, error } };
    expect(
      given(...approved)
        .when(reporting(result))
        .accepted(),
    ).toMatchObject([
      { type: 'ApprovalRefused', data: { code: 'GrantRefused' } },
      { type: 'EffectFailed', data: { error } },
    ]);
  });
});

describe('time', () => {
  const fire = (timerId: string, nowMs: number) => ask({ type: 'FireTimer', timerId }, { nowMs });
  const types = (facts: readonly RunEvent[], timerId: string, nowMs: number) =>
    given(...facts)
      .when(fire(timerId, nowMs))
      .accepted()
      .map(({ type }) => type);

  it('lets others decide, too', () => {
    given(...waiting)
      .when(fire('approval-1-1', ESCALATES_MS))
      .then(
        fact('TimerFired', { timerId: 'approval-1-1', dueAtMs: ESCALATES_MS }),
        fact('ApprovalEscalated', { call: '1', role: 'director' }),
      );
    const escalated = [
      ...waiting,
      fact('TimerFired', { timerId: 'approval-1-1', dueAtMs: ESCALATES_MS }),
      fact('ApprovalEscalated', { call: '1', role: 'director' }),
    ];
    given(...escalated)
      .when(ask(recording(voteOf('grace', { role: 'director' }))))
      .then(voted('grace', 1, { vote: voteOf('grace', { role: 'director' }) }));
  });

  it('ends what nobody has decided on, or used', () => {
    expect(types([...waiting, suspended], 'approval-1-expiry', EXPIRES_MS)).toEqual([
      'TimerFired',
      'ApprovalExpired',
      'TimerCancelled',
      'EffectFailed',
      'RunWoken',
    ]);
    expect(types([...approved, lost(1)], 'approval-1-expiry', EXPIRES_MS)).toEqual([
      'TimerFired',
      'ApprovalExpired',
      'EffectFailed',
    ]);
  });

  it('does not touch what is under way, or over', () => {
    const claim: ProgressEntry = { type: 'effect-claimed', call: '1', attempt: 1, executionId: 'x1', grantId: GRANT_ID };
    const underWay = [
      ...approved,
      ...given(...approved)
        .when(reporting(claim))
        .accepted(),
    ];
    expect(types(underWay, 'approval-1-expiry', EXPIRES_MS)).toEqual(['TimerFired']);
    const over = [...underWay, fact('EffectConfirmed', { call: '1', attempt: 1, result: 'paid' })];
    expect(types(over, 'approval-1-expiry', EXPIRES_MS)).toEqual(['TimerFired']);
  });
});

it('a tool that asks for approval by itself has its manifest in what is signed', () => {
  const pay = toolManifest('pay', { approval: 'required' });
  const seen: unknown[] = [];
  const known = {
    ...code(),
    tool: () => pay,
    approvalOf: (effect: unknown) => {
      seen.push(effect);
      return { policy: approvalPolicy.parse({ name: 'default', tools: ['*'], roles: ['approver'] }), version: 0 };
    },
  };
  const entry: ProgressEntry = { type: 'effect-intended', call: '1', tool: 'pay', args: ARGS, argsHash: 'h' };
  const events = given(...begun)
    .when({ ...reporting(entry), code: known })
    .accepted();
  expect(events[1]).toMatchObject({ data: { toolVersion: JSON.stringify(pay), roles: ['approver'], policyVersion: 0 } });
  expect(seen).toEqual([{ tool: 'pay', args: ARGS, isRequired: true }]);
});
