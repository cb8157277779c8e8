import { type SlowReader, UnreadAnswers } from './unread-answers';

function readers(unread: UnreadAnswers, names: readonly string[]) {
  const ended: string[] = [];
  const made = new Map(names.map((name): [string, SlowReader] => [name, { abandon: () => void ended.push(name) }]));
  const hold = (name: string, bytes: number): void => unread.hold(made.get(name) as SlowReader, bytes);
  const release = (name: string): void => unread.release(made.get(name) as SlowReader);
  return { ended, hold, release };
}

describe('answers that nobody reads', () => {
  it('are kept within the bound, all of them', () => {
    const { ended, hold } = readers(new UnreadAnswers(30), ['a', 'b', 'c']);
    for (const name of ['a', 'b', 'c']) hold(name, 10);
    expect(ended).toEqual([]);
  });

  it('are forgotten beyond it, of those first that have taken nothing for the longest time', () => {
    const { ended, hold } = readers(new UnreadAnswers(30), ['a', 'b', 'c', 'd']);
    for (const name of ['a', 'b', 'c']) hold(name, 10);
    hold('a', 12);
    expect(ended).toEqual(['b']);
    hold('d', 25);
    expect(ended).toEqual(['b', 'c', 'a']);
  });

  it('do not count when they were read', () => {
    const { ended, hold, release } = readers(new UnreadAnswers(30), ['a', 'b']);
    hold('a', 30);
    release('a');
    release('a');
    hold('b', 30);
    expect(ended).toEqual([]);
  });

  it('end even the only one that holds too much', () => {
    const { ended, hold } = readers(new UnreadAnswers(30), ['a']);
    hold('a', 31);
    expect(ended).toEqual(['a']);
  });
});
