import { type AppendRecord, type FoundEvent, type StoreEvidence, judgeStore } from './judge';

const found = (id: string, place: readonly [stream: string, revision: number], commit: number): FoundEvent => ({
  id,
  stream: place[0],
  revision: place[1],
  commit: BigInt(commit),
});
const log = [found('1', ['a', 0], 10), found('2', ['a', 1], 20), found('3', ['b', 0], 30), found('4', ['a', 2], 40)];
const appends: readonly AppendRecord[] = [
  { stream: 'a', ids: ['1', '2'], outcome: 'acknowledged', revision: 1 },
  { stream: 'b', ids: ['3'], outcome: 'unknown' },
  { stream: 'b', ids: ['9'], outcome: 'refused' },
  { stream: 'a', ids: ['4'], outcome: 'acknowledged', revision: 2 },
];
const all = { name: 'all', seen: ['1', '2', '3', '4'], wanted: () => true };

function judged(change: Partial<StoreEvidence>) {
  return judgeStore({ appends, log, followers: [all], ...change });
}

it('finds nothing where nothing is wrong', () => {
  expect(judged({})).toEqual({ acknowledged: 3, missing: 0, reordered: 0, violations: [] });
});

it.each<[string, Partial<StoreEvidence>, object]>([
  ['an acknowledged event that is not there', { log: log.slice(0, 3), followers: [] }, { missing: 1 }],
  ['a torn append', { log: [found('1', ['a', 0], 10)], followers: [] }, { missing: 2 }],
  ['a refused append that is there', { log: [...log, found('9', ['b', 1], 50)], followers: [] }, {}],
  ['an event that is there twice', { log: [...log, found('4', ['a', 3], 50)], followers: [] }, {}],
  ['positions that go back', { log: [...log.slice(0, 3), found('4', ['a', 2], 5)], followers: [] }, {}],
  ['a gap in the revisions', { log: [...log.slice(0, 3), found('4', ['a', 3], 40)], followers: [] }, {}],
  ['an acknowledged place that is another', { appends: [{ ...(appends[3] as AppendRecord), revision: 7 }] }, { reordered: 1 }],
  [
    'appends of one writer in another order',
    { appends: [appends[3] as AppendRecord, appends[0] as AppendRecord] },
    { reordered: 1 },
  ],
  ['a follower that missed an event', { followers: [{ ...all, seen: ['1', '3', '4'] }] }, {}],
  ['a follower that was given an event twice', { followers: [{ ...all, seen: ['1', '2', '3', '4', '4'] }] }, {}],
])('finds %s', (_, change, counts) => {
  const verdict = judged(change);
  expect(verdict.violations.length).toBeGreaterThan(0);
  expect(verdict).toMatchObject(counts);
});
