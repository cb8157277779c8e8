import { fold } from '@perdure/kernel';
import type { RunEvent, RunEventOf, VoteStatement } from '@perdure/run-contract';
import { START_MS } from '@perdure/testing';
import { ask, asked, decider, ESCALATES_MS, EXPIRES_MS, given, recording, voteOf, waiting } from './approval.world';
import { isOpen, noRun } from '../run.state';

describe('an approval that was open where a run goes back to', () => {
  const back = (): readonly RunEvent[] => {
    const past = fold({ evolve: decider.evolve }, noRun, waiting);
    if (!isOpen(past)) throw new Error('it has ended');
    const approvals = new Map([['1', asked().data]]);
    const asOf = waiting.length - 1;
    const rest = { outcomes: new Map(), sentSince: [], approvals, reason: 'misread' };
    return given(...waiting)
      .when(ask({ type: 'RewindRun', to: asOf, past, asOf, ...rest }, { n: 9, nowMs: START_MS + 5_000 }))
      .accepted();
  };

  it('is asked for anew, for as long as before', () => {
    const again = back().find((event): event is RunEventOf<'ApprovalRequested'> => event.type === 'ApprovalRequested');
    expect(again?.data).toEqual({
      ...asked().data,
      branch: 1,
      requestedAtMs: START_MS + 5_000,
      expiresAtMs: EXPIRES_MS + 5_000,
      escalations: [{ atMs: ESCALATES_MS + 5_000, role: 'director' }],
    });
  });

  it('takes votes for its branch alone', () => {
    const facts = [...waiting, ...back()];
    const types = (data: Partial<VoteStatement>): readonly string[] =>
      given(...facts)
        .when(ask(recording(voteOf('grace', data)), { nowMs: START_MS + 6_000 }))
        .accepted()
        .map(({ type }) => type);
    expect([types({}), types({ branch: 1 })]).toEqual([['ApprovalRefused'], ['ApprovalVoted']]);
  });
});
