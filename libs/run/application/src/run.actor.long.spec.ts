import { PayloadsUnavailable } from '@perdure/kernel';
import { SEGMENT_BYTES, SEGMENT_ITEMS, type ProgressEntry } from '@perdure/run-contract';
import { journalLength, tailItems, type OpenRun } from '@perdure/run-domain';
import type { RunActor } from './run.actor';
import { address, RELEASE, report, REQUEST, step, World } from './run.actor.world';
import { Snapshots } from './snapshots';

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

describe('a long run', () => {
  /** Two thousand results in reports of fifty, and a sleep that is under way. */
  async function longRun(world: World, actor: RunActor, reports = 40): Promise<void> {
    await Promise.all([
      world.send(actor, REQUEST),
      world.send(actor, RELEASE),
      world.send(actor, report(1, { type: 'timer-set', call: 'zz', delayMs: 5 })),
    ]);
    for (let n = 0; n < reports; n += 1) {
      // A barrier after each step, so that each is a fact of its own.
      const entries = Array.from({ length: 25 }, (_, i): ProgressEntry[] => [
        step(`${n}.${i}`),
        { type: 'timer-set', call: `${n}.${i}.t`, delayMs: 1 },
        { type: 'timer-cancelled', call: `${n}.${i}.t` },
      ]);
      expect(await world.send(actor, report(n + 2, ...entries.flat()))).toMatchObject({ accepted: true });
    }
  }

  it('is read from its newest snapshot and the facts after it, and is the same as folded from the start', async () => {
    const world = new World();
    await longRun(world, world.actor());
    const snapshot = await world.store.read('snapshot-acme.run1', { direction: 'backward', from: 'end', limit: 10 });
    expect(snapshot).toHaveLength(1);
    const state = await world.actor().settled();
    const full = await world.fullFold();
    expect({ ...state, journal: undefined }).toEqual({ ...full, journal: undefined });
    expect(state).toMatchObject({ journal: { segments: [{ items: 1_000 }, { items: 1_000 }] } });
  });

  it('has a snapshot that does not grow with it, but for a reference to each segment', async () => {
    const [short, long] = [await snapshotAfter(40), await snapshotAfter(160)];
    expect(long.segments.length).toBeGreaterThan(short.segments.length);
    for (const { tail } of [short, long]) expect(tail.length).toBeLessThan(SEGMENT_ITEMS);
    // The same but for the digits of its counters.
    expect(JSON.stringify(long.rest).length - JSON.stringify(short.rest).length).toBeLessThan(20);
  });

  async function snapshotAfter(reports: number) {
    const world = new World();
    await longRun(world, world.actor(), reports);
    const [newest] = await world.store.read('snapshot-acme.run1', { direction: 'backward', from: 'end', limit: 1 });
    const text = await world.blobs.get('acme', (newest?.data as { readonly blob: string }).blob);
    const { tail, segments, ...rest } = JSON.parse(text ?? '{}') as Record<'tail' | 'segments', readonly unknown[]>;
    return { tail, segments, rest };
  }

  it('gives its sealed segments and its tail as the whole journal, in order', async () => {
    const world = new World();
    const actor = world.actor();
    await longRun(world, actor);
    const [state, full] = [await world.actor().settled(), await world.fullFold()];
    if (state.status !== 'active' || full.status !== 'active') throw new Error('the run is active');
    const snapshots = new Snapshots({ store: world.store, blobs: world.blobs, host: world.host });
    const segments = await Promise.all(state.journal.segments.map((_, index) => snapshots.segment(address, state, index)));
    expect([...segments.flatMap((items) => items ?? []), ...tailItems(state.journal)]).toEqual(tailItems(full.journal));
    expect(journalLength(state.journal)).toBe(journalLength(full.journal));
    expect(await snapshots.segment(address, state, state.journal.segments.length)).toBeUndefined();
  });

  it('never shows a journal whose tail has outgrown a message, however large its results are', async () => {
    const world = new World();
    const actor = world.actor();
    await Promise.all([world.send(actor, REQUEST), world.send(actor, RELEASE)]);
    const large = (call: string) => step(call, '€'.repeat(40_000));
    for (let n = 0; n < 30; n += 1)
      expect(await world.send(actor, report(n + 1, large(`${n}.1`), large(`${n}.2`)))).toMatchObject({ accepted: true });
    const shown = [...world.appended.map(({ after }) => after), await world.actor().settled()];
    for (const state of shown)
      if (state.status === 'active') expect(bytesOf(tailItems(state.journal))).toBeLessThan(2 * SEGMENT_BYTES);
    expect(journalLength((shown.at(-1) as OpenRun).journal)).toBe(60);
  });

  it('takes nothing in that it cannot keep, and goes on when it can', async () => {
    const world = new World();
    const actor = world.actor();
    await Promise.all([world.send(actor, REQUEST), world.send(actor, RELEASE)]);
    const large = (call: string) => step(call, 'x'.repeat(400_000));
    expect(await world.send(actor, report(1, large('1')))).toMatchObject({ accepted: true });
    world.blobs.refuses = new PayloadsUnavailable(new Error('disk full'));
    await expect(world.send(actor, report(2, large('2')))).rejects.toThrow(PayloadsUnavailable);
    world.blobs.refuses = undefined;
    expect(await world.send(actor, report(2, large('2')))).toMatchObject({ accepted: true });
    expect(await world.types()).toEqual(['RunRequested', 'RunAssigned', 'StepsRecorded', 'StepsRecorded']);
  });

  it('goes on the same whether its owner held it or read it', async () => {
    const world = new World();
    const actor = world.actor();
    await longRun(world, actor, 25);
    const next = report(27, { type: 'completed', output: 'done' });
    expect(await world.send(world.actor(), next)).toMatchObject({ accepted: true, state: { status: 'ended' } });
    expect(await world.fullFold()).toMatchObject({ status: 'ended', lastSeq: 27 });
  });

  it('loses nothing with its snapshots', async () => {
    const world = new World();
    await longRun(world, world.actor(), 25);
    const { journal, ...before } = (await world.fullFold()) as OpenRun;
    for (const data of [
      { foldVersion: 99 },
      { foldVersion: 1 },
      { nonsense: true },
      { foldVersion: 2, revision: 3, blob: 'f'.repeat(64) },
    ]) {
      await world.store.append('snapshot-acme.run1', 'any', [
        { id: world.host.entropy.uuid(), type: 'RunSnapshotTaken', data, metadata: {} },
      ]);
      const { journal: sealed, ...settled } = (await world.actor().settled()) as OpenRun;
      expect(settled).toEqual(before);
      expect(journalLength(sealed)).toBe(journalLength(journal));
    }
  });
});
