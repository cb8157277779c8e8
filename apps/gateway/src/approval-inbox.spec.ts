import type { RecordedEvent } from '@perdure/kernel';
import { ApprovalInbox } from './approval-inbox';

const at = (runId: string, revision: number, ...[type, data = {}]: [string, object?]): RecordedEvent => ({
  id: `${runId}-${revision}`,
  type,
  data,
  metadata: {},
  stream: `run-default.${runId}`,
  revision,
  position: { commit: String(revision), prepare: String(revision) },
  recordedAtMs: 1_000 + revision,
});

const CALL = 't1.0';
const asked = (runId: string, revision = 5, more: object = {}): RecordedEvent =>
  at(runId, revision, 'ApprovalRequested', {
    call: CALL,
    tool: 'pay',
    toolVersion: 'v1',
    argsHash: 'a',
    shownHash: 's',
    policy: 'large',
    policyVersion: 3,
    roles: ['finance'],
    quorum: 2,
    separationOfDuties: true,
    requestedBy: 'ada',
    name: 'payer',
    requestedAtMs: revision,
    expiresAtMs: 1_000,
    escalations: [{ atMs: 500, role: 'director' }],
    ...more,
  });
const voted = (runId: string, revision: number, approver: string): RecordedEvent =>
  at(runId, revision, 'ApprovalVoted', { call: CALL, vote: { statement: { approver } } });
const granted = (runId: string, revision: number): RecordedEvent => at(runId, revision, 'ApprovalGranted', { call: CALL });

function inboxOf(facts: readonly RecordedEvent[], closedKept?: number): ApprovalInbox {
  const inbox = new ApprovalInbox(closedKept);
  for (const fact of facts) inbox.apply(fact);
  return inbox;
}
const lineOf = (inbox: ApprovalInbox, runId = 'a') => inbox.find({ tenant: 'default', runId, call: CALL });
const statuses = (inbox: ApprovalInbox, query: object = {}): readonly string[] =>
  inbox.list({ tenant: 'default', limit: 10, ...query }).map(({ runId, status }) => `${runId} ${status}`);

describe('the inbox of approvals', () => {
  it('shows who has agreed, who may decide by now, and what was tried against it', () => {
    const more = [
      at('a', 7, 'ApprovalEscalated', { call: CALL, role: 'director' }),
      at('a', 8, 'ApprovalRefused', { call: CALL }),
    ];
    const line = lineOf(inboxOf([asked('a'), voted('a', 6, 'grace'), ...more]));
    expect(line).toMatchObject({
      status: 'open',
      agreed: ['grace'],
      roles: ['finance', 'director'],
      refusals: 1,
      requestRevision: 5,
    });
    expect(line).not.toHaveProperty('escalations');
  });

  it.each([
    ['ApprovalGranted', 'granted'],
    ['ApprovalDenied', 'denied'],
    ['ApprovalExpired', 'expired'],
    ['RunCompleted', 'ended'],
    ['RunTerminated', 'ended'],
    ['RunRewound', 'ended'],
  ])('after %s it is %s', (type, status) => {
    expect(statuses(inboxOf([asked('a'), at('a', 6, type, { call: CALL })]))).toEqual([`a ${status}`]);
  });

  it('changes nothing for facts that are repeated or older', () => {
    const facts = [asked('a'), voted('a', 6, 'grace'), voted('a', 7, 'alan'), granted('a', 8)];
    const inbox = inboxOf(facts);
    const before = inbox.snapshot();
    for (const fact of [...facts].reverse()) inbox.apply(fact);
    expect(inbox.snapshot()).toEqual(before);
  });

  it('knows nothing of an approval that nobody has asked for', () => {
    expect(statuses(inboxOf([voted('a', 6, 'grace'), granted('a', 7), at('a', 8, 'RunRewound')]))).toEqual([]);
  });

  describe('of a run that is rewound', () => {
    const rewound = [asked('a'), voted('a', 6, 'grace'), at('a', 7, 'RunRewound'), asked('a', 9, { branch: 1 })];

    it('shows what is asked for anew, from the first vote on', () => {
      expect(lineOf(inboxOf(rewound))).toMatchObject({ status: 'open', agreed: [], branch: 1, requestRevision: 9 });
    });

    it('keeps it open when the rewind is told again', () => {
      expect(lineOf(inboxOf([...rewound, ...rewound]))).toMatchObject({ status: 'open', revision: 9 });
    });

    it('leaves what had been decided as it was', () => {
      expect(statuses(inboxOf([asked('a'), granted('a', 6), at('a', 7, 'RunRewound')]))).toEqual(['a granted']);
    });
  });

  it('lists what has waited for longest first, by tenant, status and role', () => {
    const inbox = inboxOf([asked('late', 9), asked('early', 2), asked('done', 1), granted('done', 3)]);
    inbox.apply(at('early', 4, 'ApprovalEscalated', { call: CALL, role: 'director' }));
    expect(statuses(inbox)).toEqual(['done granted', 'early open', 'late open']);
    expect(statuses(inbox, { status: 'open', limit: 1 })).toEqual(['early open']);
    expect(statuses(inbox, { role: 'director' })).toEqual(['early open']);
    expect(statuses(inbox, { tenant: 'other' })).toEqual([]);
  });

  it('forgets those that were decided first, and none that is open', () => {
    const decided = ['a', 'b', 'c'].flatMap((id, index) => [asked(id, index), granted(id, 10)]);
    expect(statuses(inboxOf([asked('open', 0), ...decided], 2))).toEqual(['open open', 'b granted', 'c granted']);
  });

  it('is the same after a restart', () => {
    const inbox = inboxOf([asked('a'), voted('a', 6, 'grace'), asked('b'), granted('b', 6)]);
    const restored = new ApprovalInbox();
    restored.restore(JSON.parse(JSON.stringify(inbox.snapshot())) as never);
    expect(restored.snapshot()).toEqual(inbox.snapshot());
    expect(restored.isComplete).toBe(false);
  });
});
