import type { Heartbeat } from '@perdure/run-contract';
import type { RegisteredBuild } from '@perdure/tenant-application';
import { BuildList } from './build-list';

const registered = (buildId: string, newestFor: readonly string[] = []): RegisteredBuild => ({
  manifest: {
    buildId,
    behaviours: [{ name: 'bill', kind: 'workflow', pool: 'default', tools: [], model: '', limits: { turnsMax: 1 } }],
    tools: [],
  },
  registeredAtMs: 1,
  newestFor,
});
const beat = (buildId: string, changes: Partial<Heartbeat> = {}): Heartbeat =>
  ({ tenant: 'acme', workerId: `w-${buildId}`, pool: 'default', buildId, draining: false, ...changes }) as Heartbeat;

async function standings(pinned: Readonly<Record<string, number>>, beats: readonly Heartbeat[]): Promise<Record<string, string>> {
  const list = new BuildList({
    catalogue: { builds: () => Promise.resolve([registered('new', ['bill']), registered('old')]) },
    directory: { pinned: () => new Map(Object.entries(pinned)), isComplete: true },
    workers: { beats: () => beats, hasListened: true } as never,
  });
  return Object.fromEntries((await list.of('acme')).builds.map(({ buildId, standing }) => [buildId, standing]));
}

describe('the list of builds', () => {
  it('calls an old build drained when no live run needs it, and draining before', async () => {
    const beats = [beat('new'), beat('old')];
    expect(await standings({ old: 2 }, beats)).toEqual({ new: 'current', old: 'draining' });
    expect(await standings({}, beats)).toEqual({ new: 'current', old: 'drained' });
  });

  it('calls a build stranded when runs need it and no live worker of the tenant takes them', async () => {
    const elsewhere = beat('old', { tenant: 'other' });
    expect(await standings({ old: 2 }, [beat('new'), elsewhere])).toEqual({ new: 'current', old: 'stranded' });
    expect(await standings({ old: 2 }, [beat('new', { compatibleWith: ['old'] })])).toEqual({ new: 'current', old: 'draining' });
    expect(await standings({ new: 1 }, [])).toEqual({ new: 'stranded', old: 'drained' });
  });
});
