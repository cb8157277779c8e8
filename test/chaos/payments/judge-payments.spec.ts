import type { LoggedFact } from '../../rig/log';
import { type Payment, type PaymentEvidence, judgePayments } from './judge-payments';

const RUN = 'run-1';

function fact(type: string, data: Record<string, unknown>): LoggedFact {
  const position = { commit: '0', prepare: '0' };
  return { id: '', stream: `run-default.${RUN}`, type, revision: 0, position, recordedAtMs: 0, data, metadata: {} };
}

function evidence(changes: Partial<Payment> = {}, more: Partial<PaymentEvidence> = {}): PaymentEvidence {
  const payment: Payment = { id: 'p', name: 'wiring', runId: RUN, end: { output: 'p' }, ...changes };
  return { payments: [payment], transfers: [{ payment: 'p', execution: 'x', atMs: 0 }], runs: new Map(), ...more };
}

const question = (execution: string): LoggedFact => fact('EffectQuestioned', { call: '1', executionId: execution });
const unknown = (execution: string): LoggedFact => fact('EffectUnknown', { call: '1', executionId: execution });
const told = (given: PaymentEvidence): readonly string[] =>
  judgePayments(given).violations.filter((violation) => !violation.startsWith('I'));

describe('the judge of payments', () => {
  it('finds nothing where money moved once and the caller knows', () => {
    expect(judgePayments(evidence())).toEqual({ doubled: 0, lost: 0, asked: 0, violations: [] });
  });

  it('finds money that moved twice', () => {
    const transfers = ['x', 'y'].map((execution) => ({ payment: 'p', execution, atMs: 0 }));
    expect(judgePayments(evidence({}, { transfers }))).toMatchObject({
      doubled: 1,
      violations: [expect.stringContaining('2 times')],
    });
  });

  it.each<[string, Partial<Payment>, Partial<PaymentEvidence>]>([
    ['that was never started', { runId: undefined, end: undefined }, {}],
    ['that has not ended', { end: undefined }, {}],
    ['that failed', { end: { code: 'Broken', message: 'it broke' } }, {}],
    ['that gave something else', { end: { output: 'q' } }, {}],
    ['that ended well without any money', {}, { transfers: [] }],
  ])('finds a payment %s', (_, changes, more) => {
    const verdict = judgePayments(evidence(changes, more));
    expect(verdict).toMatchObject({ lost: 1 });
    expect(verdict.violations).toHaveLength(1);
  });

  it('wants a question for each execution that nobody can say anything of, and no other', () => {
    const runs = (...facts: LoggedFact[]) => ({ runs: new Map([[RUN, facts]]) });
    expect(told(evidence({}, runs(unknown('x'), question('x'))))).toEqual([]);
    expect(judgePayments(evidence({}, runs(unknown('x'), question('x')))).asked).toBe(1);
    expect(told(evidence({}, runs(unknown('x'))))).toEqual([expect.stringContaining('nobody was asked about x')]);
    expect(told(evidence({}, runs(question('x'))))).toEqual([expect.stringContaining('nobody had to be asked about x')]);
    const asked = evidence({ name: 'paying' }, runs(unknown('x'), question('x')));
    expect(told(asked)).toEqual([expect.stringContaining('nobody had to be asked about x')]);
  });
});
