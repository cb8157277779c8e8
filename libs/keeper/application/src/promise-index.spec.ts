import type { Json } from '@perdure/kernel';
import { PromiseIndex, type ValueCodec } from './promise-index';

const codec: ValueCodec<number> = { encode: (value) => value, decode: (json) => json as number };
const opened = (group: string, id: string, revision: number) => ({ group, id, revision });

function openIds(index: PromiseIndex<number>): string[] {
  return [...index.entries()].map(({ group, id }) => `${group}/${id}`).sort();
}

function checkpointed(index: PromiseIndex<number>): number {
  return [...index.snapshotParts()].length;
}

function reborn(index: PromiseIndex<number>): PromiseIndex<number> {
  const copy = new PromiseIndex(codec);
  for (const part of index.snapshotParts()) copy.restorePart(JSON.parse(JSON.stringify(part)) as Json);
  return copy;
}

describe('an index of promises', () => {
  let index: PromiseIndex<number>;
  beforeEach(() => {
    index = new PromiseIndex(codec);
  });

  it('opens once, however often it is told', () => {
    expect(index.open(opened('run', 'a', 1), 10)).toMatchObject({ value: 10 });
    expect(index.open(opened('run', 'a', 1), 10)).toBeUndefined();
    expect(index.size).toBe(1);
  });

  it('closes what is open, once', () => {
    index.open(opened('run', 'a', 1), 10);
    expect(index.close(opened('run', 'a', 2), 'log')).toMatchObject({ id: 'a', revision: 1 });
    expect(index.close(opened('run', 'a', 2), 'log')).toBeUndefined();
    expect(index.size).toBe(0);
  });

  it('does not open what the bus has closed before the log opened it', () => {
    index.close(opened('run', 'a', 2), 'hint');
    expect(index.open(opened('run', 'a', 1), 10)).toBeUndefined();
  });

  it('opens again what was closed before, by a later fact', () => {
    index.close(opened('run', 'a', 2), 'hint');
    expect(index.open(opened('run', 'a', 3), 30)).toMatchObject({ value: 30 });
    expect(index.close(opened('run', 'a', 2), 'log')).toBeUndefined();
    expect(index.get('run', 'a')).toMatchObject({ revision: 3 });
  });

  it('ends a group with all that is open in it, and whatever opens late', () => {
    for (const id of ['a', 'b', 'c']) index.open(opened('run', id, 1), 1);
    index.open(opened('other', 'a', 1), 1);
    expect(index.closeGroup('run', 9, 'hint')).toHaveLength(3);
    expect(index.open(opened('run', 'd', 8), 1)).toBeUndefined();
    expect(openIds(index)).toEqual(['other/a']);
    expect(index.size).toBe(1);
  });

  it('keeps the other promises of a group when one is closed', () => {
    for (const id of ['a', 'b', 'c']) index.open(opened('run', id, 1), 1);
    index.close(opened('run', 'b', 2), 'log');
    expect(openIds(index)).toEqual(['run/a', 'run/c']);
    index.close(opened('run', 'a', 3), 'log');
    index.close(opened('run', 'c', 4), 'log');
    expect(openIds(index)).toEqual([]);
    expect(index.size).toBe(0);
  });

  it('does not open anew what its keeper has settled, when the log tells the opening late', () => {
    const entry = index.open(opened('run', 'a', 1), 10)!;
    index.settle(entry);
    expect(index.open(opened('run', 'a', 1), 10)).toBeUndefined();
  });

  it('leaves alone what was opened anew while its keeper was busy with the old one', () => {
    const entry = index.open(opened('run', 'a', 1), 10)!;
    index.open(opened('run', 'a', 5), 50);
    index.settle(entry);
    expect(index.get('run', 'a')).toMatchObject({ revision: 5 });
  });

  it('comes back whole from a checkpoint', () => {
    for (const id of ['a', 'b']) index.open(opened('run', id, 1), 7);
    index.open(opened('other', 'x', 3), 8);
    const copy = reborn(index);
    expect(openIds(copy)).toEqual(openIds(index));
    expect(copy.get('other', 'x')).toEqual({ group: 'other', id: 'x', revision: 3, value: 8 });
  });

  it('gives a large index in parts, and loses nothing that stays open while they are taken', () => {
    const total = 25_000;
    for (let number = 0; number < total; number += 1) index.open(opened(`run-${number}`, 'a', 1), number);
    const copy = new PromiseIndex(codec);
    let parts = 0;
    for (const part of index.snapshotParts()) {
      copy.restorePart(part);
      index.close(opened('run-24999', 'a', 2), 'log');
      index.open(opened(`late-${parts}`, 'a', 3), 0);
      index.open(opened('run-0', `more-${parts}`, 3), 0);
      parts += 1;
    }
    expect(parts).toBe(7);
    const missing = [...index.entries()].filter(({ group, id }) => copy.get(group, id) === undefined);
    expect(missing.every(({ revision }) => revision === 3)).toBe(true);
    expect(copy.size).toBeGreaterThanOrEqual(total - 1);
  });

  it('keeps a tombstone until the log has told the end too and a checkpoint has passed it', () => {
    index.close(opened('run', 'a', 2), 'hint');
    for (let checkpoint = 0; checkpoint < 5; checkpoint += 1) checkpointed(index);
    expect(index.open(opened('run', 'a', 1), 10)).toBeUndefined();
    index.close(opened('run', 'a', 2), 'log');
    for (let checkpoint = 0; checkpoint < 2; checkpoint += 1) checkpointed(index);
    expect(index.tombstones).toBe(0);
  });

  it('lets go even of ends that the log never tells', () => {
    index.close(opened('run', 'a', 2), 'hint');
    for (let checkpoint = 0; checkpoint < 30; checkpoint += 1) checkpointed(index);
    expect(index.tombstones).toBe(0);
  });

  it('refuses a snapshot of another version', () => {
    expect(() => index.restorePart({ v: 2, open: [] })).toThrow(/later version/);
    expect(() => index.restorePart({ v: 1, open: [['run']] })).toThrow(/holds an entry/);
  });

  it('is the same for every order in which log and bus tell the same story', () => {
    const story = [
      () => index.open(opened('run', 'a', 1), 1),
      () => index.close(opened('run', 'a', 2), 'hint'),
      () => index.open(opened('run', 'b', 3), 3),
      () => index.closeGroup('gone', 9, 'hint'),
      () => index.open(opened('gone', 'z', 4), 4),
    ];
    for (const order of permutations([0, 1, 2, 3, 4])) {
      index = new PromiseIndex(codec);
      for (const step of order) story[step]!();
      expect(openIds(index)).toEqual(['run/b']);
    }
  });
});

function permutations(items: readonly number[]): number[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item) => permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]));
}
