import { MemoryBlobStore } from '@perdure/platform-blob-memory';
import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { runAddress, runStream, type RunEvent } from '@perdure/run-contract';
import { assigned, decision, fact, intendedEffect, ManualHost, requested, START_MS } from '@perdure/testing';
import { RunHistory } from './run-history';
import { stateViewOf } from './run-state-view';
import { RunCodec } from './run.codec';

const address = runAddress('acme', 'run1');

/** Each group is one decision. */
async function historyOf(...decisions: readonly (readonly RunEvent[])[]): Promise<RunHistory> {
  const host = new ManualHost();
  const store = new MemoryEventStore(new MemoryLog(host.clock));
  const codec = new RunCodec({ blobs: new MemoryBlobStore(), host });
  for (const [index, events] of decisions.entries()) {
    const provenance = { commandId: `c${index}`, actor: 'user:x', traceparent: undefined };
    const { stored } = await codec.encodeAll(
      address,
      events.map((event) => ({ event, provenance })),
    );
    await store.append(runStream.build(address), 'any', stored);
  }
  return new RunHistory(store, codec);
}

const toolTurn = decision({ toolCalls: [{ toolCallId: 'a', tool: 'pay', args: {} }] });
const model = (turn: number) => fact('ModelCallIntended', { call: `t${turn}`, turn, model: 'm' });
const confirmed = fact('EffectConfirmed', { call: 't1.0', attempt: 1, result: 'paid' });
const approvalAsked = fact('ApprovalRequested', {
  call: 't1.0',
  tool: 'pay',
  toolVersion: 'v',
  argsHash: 'h',
  shownHash: 's',
  policy: 'large',
  policyVersion: 1,
  roles: ['finance'],
  quorum: 1,
  separationOfDuties: true,
  requestedBy: 'ada',
  name: 'helper',
  requestedAtMs: START_MS,
  expiresAtMs: START_MS,
  escalations: [],
});
const agentRun = [
  [requested({ kind: 'agent', name: 'helper' })],
  [assigned(), model(1)],
  [fact('ModelCallCompleted', { call: 't1', attempt: 1, decision: toolTurn }), intendedEffect('t1.0')],
  [confirmed, model(2)],
  [
    fact('ModelCallFailed', { call: 't2', attempt: 1, error: { code: 'X', message: 'x', reaction: 'terminal' } }),
    fact('RunFailed', { error: { code: 'X', message: 'x', reaction: 'terminal' }, endedAtMs: START_MS }),
  ],
] as const;

describe('the history of a run', () => {
  it('takes a decision whole or not at all', async () => {
    const history = await historyOf(...agentRun);
    const revisions = [];
    for (let at = 0; at <= 8; at += 1) revisions.push((await history.moment(address, { at: 'revision', revision: at })).revision);
    expect(revisions).toEqual([0, 0, 2, 2, 4, 4, 6, 6, 8]);
  });

  it('knows the moment before the decision that ended it, and before a turn', async () => {
    const history = await historyOf(...agentRun);
    expect((await history.moment(address, { at: 'before-end' })).revision).toBe(6);
    expect((await history.moment(address, { at: 'turn', turn: 1 })).revision).toBe(2);
    await expect(history.moment(address, { at: 'turn', turn: 9 })).rejects.toMatchObject({ code: 'NoSuchRevision' });
    await expect(history.moment(address, { at: 'revision', revision: 99 })).rejects.toMatchObject({ code: 'NoSuchRevision' });
    await expect(history.moment(runAddress('acme', 'none'), { at: 'head' })).rejects.toMatchObject({ code: 'RunNotFound' });
  });

  it('says what was done outside since, and how it ended', async () => {
    const history = await historyOf(...agentRun);
    const moment = await history.moment(address, { at: 'revision', revision: 4 });
    expect(moment.effectsSince).toEqual([
      {
        call: 't1.0',
        branch: 0,
        tool: 'pay',
        effectClass: 'idempotent',
        status: 'confirmed',
        intendedAtRevision: 4,
        endedAtRevision: 5,
        isUndoable: false,
      },
    ]);
    expect([...moment.outcomesSince]).toEqual([['t1.0', { outcome: { ok: true, value: 'paid' } }]]);
    expect((await history.moment(address, { at: 'revision', revision: 6 })).effectsSince).toEqual([]);
  });

  it('tells of an effect that has ended since whose arguments were executed, if persons changed them', async () => {
    const [args, by] = [{ amount: 3 }, ['alan']];
    const granted = { call: 't1.0', grantId: 'g', argsHash: 'h', args, approvers: by, expiresAtMs: START_MS };
    const history = await historyOf(
      agentRun[0],
      agentRun[1],
      [...agentRun[2], approvalAsked],
      [fact('ApprovalGranted', granted)],
      [confirmed],
    );
    const moment = await history.moment(address, { at: 'revision', revision: 5 });
    const outcome = { ok: true, value: 'paid' };
    expect([...moment.outcomesSince]).toEqual([['t1.0', { outcome, edited: { by, args } }]]);
  });

  it('tells the state at any revision, of an ended run as it was when it ended', async () => {
    const history = await historyOf(...agentRun);
    const early = stateViewOf(address, await history.moment(address, { at: 'revision', revision: 4 }, { exact: true }), {
      limit: 9,
    });
    expect(early).toMatchObject({ status: 'active', revision: 4, turn: 1, calls: [{ call: 't1.0', kind: 'tool', name: 'pay' }] });
    const late = stateViewOf(address, await history.moment(address, { at: 'head' }, { exact: true }), { from: 1, limit: 9 });
    expect(late).toMatchObject({
      status: 'ended',
      revision: 8,
      outcome: { status: 'failed' },
      effects: [{ status: 'confirmed' }],
    });
    expect(late.journal).toMatchObject({ length: 2, from: 1, items: [{ type: 'tool-result' }] });
  });
});
