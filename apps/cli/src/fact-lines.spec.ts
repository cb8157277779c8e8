import { FactLines } from './fact-lines';
import type { Fact } from './gateway-client';

const ESCAPES = /\u001b\[\d+m/g;
const fact = (revision: number, type: string, data: Record<string, unknown> = {}): Fact => ({
  revision,
  type,
  atMs: revision * 100,
  data,
  metadata: {},
});

function told(...facts: readonly Fact[]): readonly string[] {
  const lines = new FactLines();
  return facts.map((each) => lines.line(each).replace(ESCAPES, '').replace(/\s+/g, ' ').trim());
}

describe('the lines of facts', () => {
  it('say when a fact came, counted from the first, and what it means', () => {
    const [first, second] = told(
      fact(10, 'RunRequested', { kind: 'agent', name: 'audit' }),
      fact(12, 'RunAssigned', { workerId: 'w2', epoch: 2 }),
    );
    expect(first).toBe('0.00 s #10 ▸ agent audit requested');
    expect(second).toBe('0.20 s #12 ● assigned to w2 (epoch 2)');
  });

  it('name the tool and its telling argument when an effect is confirmed, and how long it took', () => {
    const lines = told(
      fact(0, 'EffectIntended', { call: 't1.0', tool: 'inspect', args: { root: '/r', part: 'libs' } }),
      fact(5, 'EffectConfirmed', { call: 't1.0' }),
    );
    expect(lines[1]).toBe('0.50 s #5 ✓ inspect libs 500 ms');
  });

  it('name the arguments that persons have put in the place of those intended, from the grant on', () => {
    const args = { sum: 3 };
    const lines = told(
      fact(0, 'EffectIntended', { call: 't1.0', tool: 'pay', args: { sum: 5 } }),
      fact(1, 'ApprovalVoted', { call: 't1.0', vote: { statement: { approver: 'grace' } }, args }),
      fact(2, 'ApprovalGranted', { call: 't1.0', approvers: ['grace'], args }),
      fact(3, 'EffectConfirmed', { call: 't1.0' }),
    );
    expect(lines[1]).toContain('pay {"sum":5}: grace agrees, but with {"sum":3}');
    expect(lines[2]).toContain('pay {"sum":5} is approved by grace, but with {"sum":3}');
    expect(lines[3]).toContain('pay {"sum":3}');
  });

  it('count the tools that a model decided for', () => {
    const toolCalls = [{ tool: 'read' }, { tool: 'read' }, { tool: 'write' }];
    expect(told(fact(0, 'ModelCallCompleted', { decision: { text: '', toolCalls } }))[0]).toContain(
      'model decides: read × 2, write',
    );
  });

  it('say who has found out what became of an effect', () => {
    const lines = told(
      fact(0, 'EffectIntended', { call: '1', tool: 'wire', args: { id: 'a' } }),
      fact(1, 'EffectUnknown', { call: '1', because: 'timed-out' }),
      fact(2, 'EffectQuestioned', { call: '1', why: 'wire has no probe' }),
      fact(3, 'EffectReconciled', { call: '1', verdict: 'happened', by: 'user:ada' }),
    );
    expect(lines.slice(1).map((line) => line.replace(/^.*#\d+ /, ''))).toEqual([
      '? wire a: nobody knows whether it happened (timed-out)',
      '? wire a: a person is asked: wire has no probe',
      '! wire a: happened, says user:ada',
    ]);
  });

  it('show a fact of a newer version by its name', () => {
    expect(told(fact(0, 'RunTeleported'))[0]).toContain('RunTeleported');
  });
});
