import { MemoryEventStore, MemoryLog } from '@perdure/platform-event-store-memory';
import { agentManifest, ManualHost, toolManifest, UnsureStore } from '@perdure/testing';
import type { BuildManifest } from '@perdure/tenant-contract';
import { StoredBuildCatalogue } from './build-catalogue';

const host = new ManualHost();
const build = (buildId: string, change: Partial<BuildManifest> = {}): BuildManifest => ({
  buildId,
  behaviours: [agentManifest()],
  tools: [toolManifest('pay'), toolManifest('lookup')],
  ...change,
});

function world() {
  const log = new MemoryLog(host.clock);
  const catalogue = () => new StoredBuildCatalogue({ store: new MemoryEventStore(log), host });
  return { log, catalogue };
}

describe('a build', () => {
  it('is known to everybody once it is registered', async () => {
    const { catalogue } = world();
    expect(await catalogue().register('acme', build('b1'))).toEqual({ buildId: 'b1', registered: true });
    expect(await catalogue().build('acme', 'b1')).toEqual(build('b1'));
    expect(await catalogue().build('acme', 'b2')).toBeUndefined();
    expect(await catalogue().behaviour('acme', 'helper')).toEqual(agentManifest());
  });

  it('registered again changes nothing', async () => {
    const { log, catalogue } = world();
    await catalogue().register('acme', build('b1'));
    expect(await catalogue().register('acme', build('b1'))).toEqual({ buildId: 'b1', registered: false });
    expect(log.length).toBe(1);
  });

  it('never changes under its id', async () => {
    const { catalogue } = world();
    await catalogue().register('acme', build('b1'));
    const changed = build('b1', { tools: [toolManifest('pay', { timeoutMs: 5 }), toolManifest('lookup')] });
    await expect(catalogue().register('acme', changed)).rejects.toMatchObject({ code: 'BuildConflict' });
  });

  it('is of one tenant', async () => {
    const { catalogue } = world();
    const shared = catalogue();
    await shared.register('acme', build('b1'));
    expect(await shared.build('other', 'b1')).toBeUndefined();
    expect(await shared.behaviours('other')).toEqual([]);
  });

  it('that is newest speaks for a name, also when an old one comes back', async () => {
    const { catalogue } = world();
    const pool = (name: string) => ({ behaviours: [agentManifest({ pool: name })] });
    await catalogue().register('acme', build('b1', pool('one')));
    await catalogue().register('acme', build('b2', pool('two')));
    expect(await catalogue().behaviour('acme', 'helper')).toMatchObject({ pool: 'two' });
    expect(await catalogue().register('acme', build('b1', pool('one')))).toMatchObject({ registered: true });
    expect(await catalogue().behaviour('acme', 'helper')).toMatchObject({ pool: 'one' });
  });

  it('is listed with the names that no newer one hosts', async () => {
    const { catalogue } = world();
    const hosts = (...names: readonly string[]) => ({ behaviours: names.map((name) => agentManifest({ name })) });
    await catalogue().register('acme', build('b1', hosts('helper', 'clerk')));
    await catalogue().register('acme', build('b2', hosts('helper')));
    await catalogue().register('acme', build('b3', { ...hosts('helper'), compatibleWith: ['b2'] }));
    const listed = await catalogue().builds('acme');
    expect(Object.fromEntries(listed.map(({ manifest, newestFor }) => [manifest.buildId, newestFor]))).toEqual({
      b1: ['clerk'],
      // It says the same of its name as b2 did, and was registered later.
      b2: [],
      b3: ['helper'],
    });
    expect(listed.find(({ manifest }) => manifest.buildId === 'b3')?.manifest.compatibleWith).toEqual(['b2']);
  });

  it('is registered by two at the same time, each once', async () => {
    const { log, catalogue } = world();
    const registered = await Promise.all([
      catalogue().register('acme', build('b1')),
      catalogue().register('acme', build('b2')),
      catalogue().register('acme', build('b1')),
    ]);
    expect(registered.map(({ buildId }) => buildId)).toEqual(['b1', 'b2', 'b1']);
    const [one, two] = [await catalogue().build('acme', 'b1'), await catalogue().build('acme', 'b2')];
    expect([one?.buildId, two?.buildId]).toEqual(['b1', 'b2']);
    expect(log.length).toBeLessThanOrEqual(3);
  });

  it('whose registration was not answered is registered once, when it is tried again', async () => {
    const { log } = world();
    const store = new UnsureStore(new MemoryEventStore(log));
    const catalogue = new StoredBuildCatalogue({ store, host });
    store.fates.push('answer-lost');
    await expect(catalogue.register('acme', build('b1'))).rejects.toMatchObject({ reaction: 'retryable' });
    expect(await catalogue.register('acme', build('b1'))).toEqual({ buildId: 'b1', registered: false });
    expect(log.length).toBe(1);
  });

  it('reads on where others have registered more than a page', async () => {
    const { catalogue } = world();
    const [writer, reader] = [catalogue(), catalogue()];
    await reader.behaviours('acme');
    for (let n = 0; n < 205; n += 1)
      await writer.register('acme', build(`b${n}`, { behaviours: [agentManifest({ name: `agent-${n}` })] }));
    expect(await reader.behaviours('acme')).toHaveLength(205);
  });
});

describe('what no build may promise', () => {
  it('is that an effect can be asked after which has no probe', async () => {
    const manifest = (hasProbe: boolean) =>
      build('b1', { tools: [toolManifest('pay', { effectClass: 'probeable', hasProbe }), toolManifest('lookup')] });
    await expect(world().catalogue().register('acme', manifest(false))).rejects.toMatchObject({ code: 'ProbeMissing' });
    expect(await world().catalogue().register('acme', manifest(true))).toMatchObject({ registered: true });
  });

  it('is a tool that it does not hold', async () => {
    await expect(
      world()
        .catalogue()
        .register('acme', build('b1', { tools: [] })),
    ).rejects.toMatchObject({ code: 'UnknownTool' });
  });

  it.each<[string, Partial<BuildManifest>]>([
    ['tools', { tools: [toolManifest('pay'), toolManifest('lookup'), toolManifest('pay', { effectClass: 'pure' })] }],
    ['behaviours', { behaviours: [agentManifest(), agentManifest({ kind: 'workflow' })] }],
  ])('is two %s of one name: which of them was meant could not be told', async (_, change) => {
    await expect(world().catalogue().register('acme', build('b1', change))).rejects.toMatchObject({ code: 'NameNotUnique' });
  });
});
