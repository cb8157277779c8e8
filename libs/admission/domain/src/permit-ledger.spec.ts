import type { Json } from '@perdure/kernel';
import type { CapacityChange, CapacityFact } from './capacity-fact';
import { PermitLedger, type Ends } from './permit-ledger';

/** As the keepers' tombstones, without forgetting. */
class AllEnds implements Ends {
  private readonly ends = new Map<string, number>();
  bury = (id: string, revision: number) => void this.ends.set(id, Math.max(revision, this.ends.get(id) ?? 0));
  covers = (id: string, revision: number) => revision <= (this.ends.get(id) ?? -1);
  sweep = () => undefined;
  clear = () => this.ends.clear();
}

const requested: CapacityChange = { type: 'requested', pool: 'main', name: 'echo', pins: true, atMs: 5 };
const assigned = (sessionId = 's1'): CapacityChange => ({ type: 'assigned', workerId: 'w1', sessionId, buildId: 'b' });
const woken: CapacityChange = { type: 'asked-again', preferredWorkerId: 'w1' };
const story: readonly CapacityChange[] = [
  requested,
  assigned(),
  { type: 'let-go' },
  woken,
  assigned('s2'),
  { type: 'unplaced' },
  { type: 'ended' },
];
const at = (revision: number, change: CapacityChange, runId = '1'): CapacityFact => ({ tenant: 'acme', runId, revision, change });
const KEY = { tenant: 'acme', runId: '1' };
const LOG = { confirmed: true, nowMs: 9 };
const HINT = { confirmed: false, nowMs: 9 };

function told(upTo: number): PermitLedger {
  const ledger = new PermitLedger(new AllEnds());
  for (const [revision, change] of story.slice(0, upTo).entries()) ledger.apply(at(revision, change), LOG);
  return ledger;
}

describe('the ledger of permits', () => {
  it('counts as held what is assigned and neither suspended, paused nor ended', () => {
    expect([1, 2, 3, 4, 5, 6, 7].map((upTo) => told(upTo).permitsHeld)).toEqual([0, 1, 0, 0, 1, 1, 0]);
    expect([1, 2, 3, 4, 5, 6, 7].map((upTo) => told(upTo).get(KEY)?.state)).toEqual([
      'waiting',
      'held',
      'idle',
      'waiting',
      'held',
      'held',
      undefined,
    ]);
  });

  it('keeps the permit of a lost activation, and the worker not', () => {
    expect(told(6).get(KEY)).toMatchObject({ state: 'held', workerId: undefined });
  });

  it('says who is freed', () => {
    const ledger = told(2);
    expect(ledger.apply(at(2, { type: 'let-go' }), LOG)?.freed).toEqual({ workerId: 'w1', sessionId: 's1' });
    expect(ledger.apply(at(2, { type: 'let-go' }), LOG)).toBeUndefined();
  });

  it('ends in the same state in every order in which log and bus may tell the story', () => {
    for (let lost = 0; lost < story.length; lost += 1) {
      const ledger = new PermitLedger(new AllEnds());
      const hints = [...story.entries()].filter(([revision]) => revision !== lost).reverse();
      for (const [revision, change] of hints) ledger.apply(at(revision, change), HINT);
      for (const [revision, change] of story.entries()) ledger.apply(at(revision, change), LOG);
      expect([ledger.size, ledger.permitsHeld]).toEqual([0, 0]);
    }
  });

  it('does not let the log take back what the bus has told since', () => {
    const ledger = new PermitLedger(new AllEnds());
    for (const [revision, change] of story.slice(0, 4).entries()) ledger.apply(at(revision, change), HINT);
    for (const [revision, change] of story.slice(0, 3).entries()) ledger.apply(at(revision, change), LOG);
    expect(ledger.get(KEY)).toMatchObject({ state: 'waiting', preferredWorkerId: 'w1' });
  });

  it('comes back from a checkpoint with what the log had told; a release under way waits again', () => {
    const ledger = told(4);
    ledger.grant(ledger.get(KEY)!, { workerId: 'w1', sessionId: 's1' });
    ledger.apply(at(0, requested, '2'), HINT);
    const copy = new PermitLedger(new AllEnds());
    for (const part of ledger.snapshotParts()) copy.restorePart(JSON.parse(JSON.stringify(part)) as Json);
    expect(copy.get(KEY)).toMatchObject({ state: 'waiting', revision: 3, name: 'echo', fresh: false, workerId: undefined });
    expect([copy.size, copy.permitsHeld]).toEqual([1, 0]);
  });

  it('forgets what only the bus has told, long ago: a late repeat of a run that is over', () => {
    const ledger = new PermitLedger(new AllEnds());
    ledger.apply(at(0, requested), HINT);
    expect([ledger.sweep(), ledger.sweep()]).toEqual([[], []]);
    expect(ledger.sweep()).toHaveLength(1);
    expect(ledger.size).toBe(0);
    ledger.apply(at(0, requested), HINT);
    ledger.apply(at(0, requested), LOG);
    for (let sweep = 0; sweep < 5; sweep += 1) expect(ledger.sweep()).toEqual([]);
  });

  it('gives up a permit that its owner knows nothing of', () => {
    const ledger = told(1);
    const record = ledger.get(KEY)!;
    ledger.grant(record, { workerId: 'w1', sessionId: 's1' });
    expect(ledger.permitsHeld).toBe(1);
    ledger.forget(record);
    expect([ledger.size, ledger.permitsHeld]).toEqual([0, 0]);
    expect(ledger.apply(at(0, requested), LOG)).toBeUndefined();
  });
});
