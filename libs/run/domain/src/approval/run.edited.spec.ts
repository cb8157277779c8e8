import { fold } from '@perdure/kernel';
import type { EditedUse, RunEvent } from '@perdure/run-contract';
import { assigned, decision, fact, intendedEffect, requested, START_MS } from '@perdure/testing';
import { ARGS, ask, asked, decider, given, granted, GRANT_ID, voted } from './approval.world';
import { instructionsOf } from '../run.effects';
import { tailItems } from '../run.journal';
import { isOpen, noRun, type OpenRun } from '../run.state';

/** Persons approved of an effect with other arguments than those that were asked for. */
const ARGS_INSTEAD = { amount: 3 };
const EDITED: EditedUse = { by: ['alan', 'edsger'], args: ARGS_INSTEAD };
const CALL = 't1.0';
const of = { call: CALL, attempt: 1, executionId: 'x1' };
const outcome = { ok: true as const, value: 'paid' };

const changed = granted({
  call: CALL,
  args: ARGS_INSTEAD,
  argsHash: JSON.stringify(ARGS_INSTEAD),
  approvers: EDITED.by,
});
const confirmed = fact('EffectConfirmed', { call: CALL, attempt: 1, result: 'paid' });
const waiting: readonly RunEvent[] = [
  requested({ kind: 'agent', requestedBy: 'ada' }),
  assigned(),
  fact('ModelCallIntended', { call: 't1', model: 'rules', turn: 1 }),
  fact('ModelCallCompleted', {
    call: 't1',
    attempt: 1,
    decision: decision({ toolCalls: [{ toolCallId: 'use-1', tool: 'pay', args: ARGS }] }),
  }),
  intendedEffect(CALL, { toolCallId: 'use-1', effectClass: 'irreversible', argsHash: JSON.stringify(ARGS) }),
  asked({ call: CALL }),
];
const begun: readonly RunEvent[] = [
  ...waiting,
  changed,
  fact('EffectDispatched', { ...of, startByMs: 1, overByMs: 2, hasProbe: false, grantId: GRANT_ID }),
];

function stateAfter(...facts: readonly RunEvent[]): OpenRun {
  const state = fold({ evolve: decider.evolve }, noRun, facts);
  if (!isOpen(state)) throw new Error('it has ended');
  return state;
}

describe('arguments that persons have changed', () => {
  it('are named in the instruction, by whoever has changed them', () => {
    expect(instructionsOf(stateAfter(...waiting, changed))).toMatchObject([{ args: ARGS_INSTEAD, editedBy: EDITED.by }]);
  });

  it('stand in the journal beside what became of them', () => {
    const { journal, inbound } = stateAfter(...begun, confirmed);
    expect(tailItems(journal).at(-1)).toMatchObject({ type: 'tool-result', call: CALL, outcome, edited: EDITED });
    expect(inbound).toEqual([]);
  });

  it('are told to the worker that has not executed them itself', () => {
    const questioned = { tool: 'pay', effectClass: 'irreversible' as const, args: ARGS_INSTEAD, startByMs: 1, overByMs: 2 };
    const { inbound } = stateAfter(
      ...begun,
      fact('EffectUnknown', { ...of, because: 'worker-lost' }),
      fact('EffectQuestioned', { ...of, ...questioned, because: 'no-probe', why: 'it has none' }),
      fact('EffectReconciled', { ...of, verdict: 'happened', by: 'person:root' }),
      confirmed,
    );
    expect(inbound).toMatchObject([{ call: CALL, outcome, edited: EDITED }]);
  });

  it('are no matter of an effect whose arguments nobody has changed', () => {
    const { journal } = stateAfter(...waiting, granted({ call: CALL }), ...begun.slice(-1), confirmed);
    expect(tailItems(journal).at(-1)).not.toHaveProperty('edited');
  });
});

describe('a run that goes back past them', () => {
  function back(past: readonly RunEvent[], since: readonly RunEvent[], ended: boolean): readonly RunEvent[] {
    const facts = [...past, ...since];
    const command = {
      type: 'RewindRun' as const,
      to: past.length - 1,
      past: stateAfter(...past),
      asOf: facts.length - 1,
      outcomes: ended ? new Map([[CALL, { outcome, edited: EDITED }]]) : new Map(),
      sentSince: [],
      approvals: new Map([[CALL, asked({ call: CALL }).data]]),
      reason: 'misread',
    };
    return given(...facts)
      .when(ask(command, { n: 9, nowMs: START_MS + 5_000 }))
      .accepted();
  }

  it('still knows of what was executed with them that it was', () => {
    const rewound = back(waiting, [voted('alan', 1, { call: CALL }), ...begun.slice(-2), confirmed], true);
    const { journal } = stateAfter(...waiting, voted('alan', 1, { call: CALL }), ...begun.slice(-2), confirmed, ...rewound);
    expect(tailItems(journal).at(-1)).toMatchObject({ type: 'tool-result', outcome, edited: EDITED });
  });

  it('asks again with them, and still knows what the code had asked for, and who has changed it', () => {
    const rewound = back([...waiting, changed], [], false);
    const intended = rewound.find(({ type }) => type === 'EffectIntended');
    expect(intended?.data).toMatchObject({ args: ARGS_INSTEAD, argsHash: JSON.stringify(ARGS), editedBy: EDITED.by });
    const again = rewound.find(({ type }) => type === 'ApprovalRequested');
    expect(again?.data).toMatchObject({ argsHash: JSON.stringify(ARGS_INSTEAD) });
    const approved = granted({ call: CALL, argsHash: JSON.stringify(ARGS_INSTEAD), approvers: ['grace', 'edsger'] });
    const resumed = stateAfter(...waiting, changed, ...rewound, assigned(2), approved);
    expect(instructionsOf(resumed)).toMatchObject([{ args: ARGS_INSTEAD, editedBy: EDITED.by }]);
  });
});
