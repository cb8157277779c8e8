import type { LoggedFact } from '../rig/log';
import { judge, type ChaosLine } from './judge';
import type { Ordered } from './load';

const RUN = 'a1';
const EXPECTED = 42;

function facts(...more: readonly (readonly [type: string, data?: object, metadata?: object])[]): readonly LoggedFact[] {
  return more.map(([type, data = {}, metadata = {}], index) => ({
    id: `id-${index}`,
    stream: `run-default.${RUN}`,
    type,
    revision: index,
    position: { commit: String(index), prepare: String(index) },
    recordedAtMs: index * 1_000,
    data: data as LoggedFact['data'],
    metadata: metadata as LoggedFact['metadata'],
  }));
}

const REQUESTED = [
  'RunRequested',
  { kind: 'workflow', name: 'mixture', pool: 'default', input: {}, requestHash: 'h', requestedAtMs: 0 },
] as const;
const ASSIGNED = [
  'RunAssigned',
  { epoch: 1, workerId: 'worker-1', sessionId: 's', buildId: 'b', permitId: 'p', term: 1, assignedAtMs: 1_000 },
] as const;
const RECORDED = [
  'StepsRecorded',
  { entries: [{ type: 'step', call: '1', name: 'step 0', outcome: { ok: true, value: 1 } }] },
  { report: { epoch: 1, seq: 1 } },
] as const;
const COMPLETED = ['RunCompleted', { output: EXPECTED, endedAtMs: 3_000 }, { report: { epoch: 1, seq: 2 } }] as const;
const GOOD = facts(REQUESTED, ASSIGNED, RECORDED, COMPLETED);
const EXECUTED: ChaosLine = { kind: 'step', runId: RUN, what: 'step 0', pid: 1, atMs: 1_500 };

function ordered(end: Ordered['end'], runIds = [RUN]): Ordered {
  return {
    key: 'k',
    name: 'mixture',
    input: { seed: 1 },
    expected: EXPECTED,
    runIds: new Set(runIds),
    cancelAsked: false,
    ...(end ? { end } : {}),
  };
}

function verdictOf(given: { order?: Ordered; log?: readonly LoggedFact[]; book?: readonly ChaosLine[] }) {
  const { order = ordered({ output: EXPECTED }), log = GOOD, book = [EXECUTED] } = given;
  return judge({ orders: [order], runs: new Map([[RUN, log]]), book });
}

describe('the judge of a chaos run', () => {
  it('finds nothing in a run that went well', () => {
    expect(verdictOf({})).toEqual({ lost: 0, doubled: 0, reexecutedPure: 0, reexecutedCutOff: 0, violations: [] });
  });

  it.each([
    ['has no end', ordered(undefined)],
    ['has another output than was computed independently', ordered({ output: 41 })],
    ['failed', ordered({ code: 'Broken', message: 'no' })],
    ['was cancelled though nobody asked', ordered({ code: 'RunCancelled', message: 'no' })],
  ])('counts a run as lost that %s', (_what, order) => {
    expect(verdictOf({ order })).toMatchObject({ lost: 1, violations: [expect.stringContaining('lost')] });
  });

  it('finds an execution that began after its result was in the log', () => {
    const again = { ...EXECUTED, pid: 2, atMs: 2_500 };
    expect(verdictOf({ book: [EXECUTED, again] })).toMatchObject({ doubled: 1, violations: [expect.stringContaining('I3')] });
  });

  it('counts apart what was executed again before its result was in the log', () => {
    const again = { ...EXECUTED, pid: 2, atMs: 1_800 };
    expect(verdictOf({ book: [EXECUTED, again] })).toMatchObject({ reexecutedCutOff: 1, violations: [] });
    const pure = [EXECUTED, again].map((line) => ({ ...line, kind: 'pure' as const }));
    expect(verdictOf({ book: pure })).toMatchObject({ reexecutedPure: 1, violations: [] });
  });

  it('finds a result that nobody executed', () => {
    expect(verdictOf({ book: [] }).violations).toEqual([expect.stringContaining('nobody executed')]);
  });

  it('finds a key that made two runs', () => {
    expect(verdictOf({ order: ordered({ output: EXPECTED }, [RUN, 'a2']) })).toMatchObject({ doubled: 1 });
  });

  it('finds gaps, second ends and facts of an epoch that is over', () => {
    expect(verdictOf({ log: GOOD.filter(({ type }) => type !== 'StepsRecorded') }).violations).toEqual(
      expect.arrayContaining([expect.stringContaining('I1')]),
    );
    expect(verdictOf({ log: facts(REQUESTED, ASSIGNED, RECORDED, COMPLETED, COMPLETED) }).violations).toEqual(
      expect.arrayContaining([expect.stringContaining('I13')]),
    );
    const second = ['RunAssigned', { ...ASSIGNED[1], epoch: 2 }] as const;
    expect(verdictOf({ log: facts(REQUESTED, ASSIGNED, second, RECORDED, COMPLETED) }).violations).toEqual(
      expect.arrayContaining([expect.stringContaining('I4')]),
    );
  });
});
