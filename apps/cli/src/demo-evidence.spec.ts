import { evidenceOf, type LedgerLine } from './demo-evidence';
import type { Fact } from './gateway-client';

let revision = 0;
const fact = (atMs: number, type: string, data: Record<string, unknown> = {}): Fact => ({
  revision: (revision += 1),
  type,
  atMs,
  data,
  metadata: {},
});
const began = (call: string, atMs: number): LedgerLine => ({
  key: `default/run/0/${call}`,
  tool: 'inspect_part',
  what: 'began',
  pid: 1,
  atMs,
});

const FACTS = [
  fact(0, 'RunAssigned'),
  fact(10, 'EffectConfirmed', { call: 't2.0' }),
  fact(1_100, 'ActivationLost'),
  fact(1_110, 'RunAssigned'),
  fact(1_500, 'EffectConfirmed', { call: 't2.1' }),
];

describe('the evidence of a demo', () => {
  it('tells effects that the kill cut off from effects that ran once', () => {
    const { effects } = evidenceOf({
      facts: FACTS,
      ledger: [began('t2.0', 1), began('t2.1', 1), began('t2.1', 1_200)],
      killedAtMs: 100,
    });
    expect(effects).toEqual({ total: 2, once: 1, cutOff: 1, doubled: 0, savedFromBefore: 1 });
  });

  it('counts an effect that ran again after its result was confirmed', () => {
    const { effects } = evidenceOf({ facts: FACTS, ledger: [began('t2.0', 1), began('t2.0', 1_200)], killedAtMs: 100 });
    expect(effects.doubled).toBe(1);
  });

  it('measures from the kill to the next activation and to the next result', () => {
    expect(evidenceOf({ facts: FACTS, ledger: [], killedAtMs: 100 })).toMatchObject({
      killToActivationMs: 1_010,
      killToProgressMs: 1_400,
    });
  });
});
