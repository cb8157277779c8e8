import { Terminal, type RecordedEvent } from '@perdure/kernel';
import { ManualHost, START_MS } from '@perdure/testing';
import { BulkActions, type BulkRequest } from './bulk-actions';
import { RunDirectory } from './run-directory';
import type { RunRequests } from './run-requests';

function world(runs: number) {
  const host = new ManualHost();
  const directory = new RunDirectory();
  for (let index = 0; index < runs; index += 1) {
    const stream = `run-acme.run${String(index).padStart(3, '0')}`;
    const data = { kind: 'agent', name: index % 2 === 0 ? 'even' : 'odd', requestedAtMs: START_MS + index };
    const of = { stream, revision: 0, recordedAtMs: START_MS, metadata: {}, id: '' };
    directory.apply({ ...of, type: 'RunRequested', data } as unknown as RecordedEvent);
  }
  const told: { readonly runId: string; readonly id: string; readonly atMs: number }[] = [];
  const requests = {
    control: async ({ runId }: { runId: string }, _verb: string, { id }: { id: string }) => {
      told.push({ runId, id, atMs: host.clock.monotonicMs() });
      if (runId === 'run001') throw new Terminal('RunNotPaused', 'it is not paused');
    },
  } as unknown as RunRequests;
  const bulk = new BulkActions(requests, directory, host);
  const act = async (request: Partial<BulkRequest>) => {
    const acting = bulk.act({ tenant: 'acme', verb: 'pause', filter: {}, dryRun: false, limit: 500, ...request });
    await host.advance(60_000);
    return acting;
  };
  return { act, told };
}

describe('a bulk action', () => {
  it('is told to each run that fits, oldest first, and reports each', async () => {
    const { act, told } = world(4);
    const report = await act({ verb: 'resume', filter: { name: 'odd' } });
    expect(report.results).toEqual([
      { runId: 'run001', name: 'odd', did: 'refused', code: 'RunNotPaused', message: 'it is not paused' },
      { runId: 'run003', name: 'odd', did: 'done' },
    ]);
    expect(told.map(({ runId }) => runId)).toEqual(['run001', 'run003']);
  });

  it('is the same command to each run when it is repeated under its id, and another under another', async () => {
    const { act, told } = world(2);
    const { id } = await act({});
    await act({ id });
    await act({});
    const [first, second, again, , other] = told.map((each) => each.id);
    expect(first).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(second).not.toBe(first);
    expect(again).toBe(first);
    expect(other).not.toBe(first);
    // Its age is that of the bulk: the owner's memory of commands counts from there.
    expect(first?.slice(0, 13)).toBe(id.slice(0, 13));
  });

  it('does nothing when it is only to say what it would do', async () => {
    const { act, told } = world(3);
    const report = await act({ dryRun: true, limit: 2 });
    expect(report).toMatchObject({ matched: 3, results: [{ did: 'not-tried' }, { did: 'not-tried' }] });
    expect(told).toEqual([]);
  });

  it('takes its time: ten runs at once, and not more than fifty a second', async () => {
    const { act, told } = world(60);
    await act({});
    const [start = 0] = told.map(({ atMs }) => atMs);
    expect(told.filter(({ atMs }) => atMs - start < 1_000)).toHaveLength(50);
  });
});
