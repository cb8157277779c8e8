import type { RecordedEvent } from '@perdure/kernel';
import { RunDirectory } from './run-directory';

const at = (runId: string, revision: number, ...[type, data = {}]: [string, unknown?]): RecordedEvent => ({
  id: `${runId}-${revision}`,
  type,
  data,
  metadata: {},
  stream: `run-default.${runId}`,
  revision,
  position: { commit: String(revision), prepare: String(revision) },
  recordedAtMs: 1_000 + revision,
});
const requested = (runId: string, requestedAtMs = 1): RecordedEvent =>
  at(runId, 0, 'RunRequested', { kind: 'agent', name: 'audit', pool: 'default', requestedAtMs });
const assigned = (runId: string, revision = 1): RecordedEvent => at(runId, revision, 'RunAssigned', { epoch: 1, workerId: 'w1' });

function directoryOf(facts: readonly RecordedEvent[], endedKept?: number): RunDirectory {
  const directory = new RunDirectory(endedKept);
  for (const fact of facts) directory.apply(fact);
  return directory;
}
const statuses = (directory: RunDirectory): readonly string[] =>
  directory.list({ tenant: 'default', limit: 10 }).map((line) => `${line.runId} ${line.status}`);

describe('the directory of runs', () => {
  it('shows each run as its newest fact left it, newest run first', () => {
    const facts = [requested('a', 1), requested('b', 2), assigned('a'), at('b', 1, 'RunRefused')];
    expect(statuses(directoryOf(facts))).toEqual(['b refused', 'a active']);
  });

  it('changes nothing for facts that are repeated or older', () => {
    const facts = [requested('a'), assigned('a'), at('a', 2, 'RunCompleted')];
    expect(statuses(directoryOf([...facts, ...facts]))).toEqual(['a completed']);
  });

  it('says which worker holds a run, and under which epoch', () => {
    const [line] = directoryOf([requested('a'), assigned('a')]).list({ tenant: 'default', limit: 1 });
    expect(line).toMatchObject({ workerId: 'w1', epoch: 1 });
  });

  it('forgets the runs that ended first, never an open one', () => {
    const facts = ['a', 'b', 'c'].flatMap((id, index) => [requested(id, index), at(id, 1, 'RunCompleted')]);
    expect(statuses(directoryOf([requested('open', 0), ...facts], 2))).toEqual(['c completed', 'b completed', 'open queued']);
  });

  it('selects by status and tenant', () => {
    const directory = directoryOf([requested('a'), requested('b'), at('b', 1, 'RunCompleted')]);
    expect(directory.list({ tenant: 'default', status: 'completed', limit: 10 })).toHaveLength(1);
    expect(directory.list({ tenant: 'other', limit: 10 })).toHaveLength(0);
  });

  it('counts the live workflows by the build that each is pinned to, and lists them page by page', () => {
    const workflow = (id: string): RecordedEvent =>
      at(id, 0, 'RunRequested', { kind: 'workflow', name: 'bill', requestedAtMs: 1 });
    const given = (id: string, buildId: string): RecordedEvent => at(id, 1, 'RunAssigned', { epoch: 1, workerId: 'w1', buildId });
    const directory = directoryOf([
      ...['a', 'b', 'c', 'd'].flatMap((id) => [workflow(id), given(id, 'old')]),
      at('b', 2, 'RunRepinned', { buildId: 'new' }),
      at('c', 2, 'CodeDiverged'),
      at('d', 2, 'RunCompleted'),
      requested('agent'),
      at('agent', 1, 'RunAssigned', { epoch: 1, workerId: 'w1', buildId: 'old' }),
    ]);
    expect([...directory.pinned('default')]).toEqual([
      ['old', 1],
      ['new', 1],
    ]);
    const page = (after: string, buildId?: string): readonly string[] =>
      directory.live({ tenant: 'default', after, buildId, limit: 2 }).map(({ runId }) => runId);
    expect([page(''), page('agent'), page('c'), page('', 'new')]).toEqual([['a', 'agent'], ['b', 'c'], [], ['b']]);
  });

  it('leaves a run that is pinned anew as it stands', () => {
    const facts = [requested('a'), assigned('a'), at('a', 2, 'RunRepinned', { buildId: 'new' })];
    expect(directoryOf(facts).list({ tenant: 'default', limit: 1 })).toMatchObject([{ status: 'active', changedAtMs: 1_001 }]);
  });

  it('goes on from its snapshot, and refuses one of another version', () => {
    expect(() => new RunDirectory().restorePart({ open: [], ended: [] })).toThrow('version');
    const before = directoryOf([requested('a'), requested('b', 2), at('b', 1, 'RunCompleted')]);
    const after = new RunDirectory();
    for (const part of before.snapshotParts()) after.restorePart(JSON.parse(JSON.stringify(part)));
    after.apply(assigned('a'));
    expect(statuses(after)).toEqual(['b completed', 'a active']);
  });

  it('lists the effects that wait for an answer, until somebody has found out or the run has ended', () => {
    const question = (runId: string, revision: number, call: string): RecordedEvent =>
      at(runId, revision, 'EffectQuestioned', {
        call,
        tool: 'wire',
        effectClass: 'irreversible',
        attempt: 1,
        executionId: 'x',
        why: 'w',
      });
    const facts = [
      requested('a'),
      assigned('a'),
      question('a', 2, '1'),
      question('a', 3, '2'),
      requested('b'),
      question('b', 1, '1'),
    ];
    const open = (directory: RunDirectory) =>
      directory.questions({ tenant: 'default', limit: 10 }).map(({ runId, call }) => `${runId} ${call}`);
    expect(open(directoryOf(facts))).toEqual(['b 1', 'a 1', 'a 2']);
    const answered = [...facts, at('a', 4, 'EffectReconciled', { call: '1', verdict: 'absent' })];
    expect(open(directoryOf([...answered, at('b', 2, 'RunCancelled')]))).toEqual(['a 2']);
    expect(directoryOf(facts).questions({ tenant: 'other', limit: 10 })).toEqual([]);
  });
});
