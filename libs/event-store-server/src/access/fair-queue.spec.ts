import { FairQueue } from './fair-queue';

/** Tasks that end when they are told to, and the order in which they began. */
class Desk {
  readonly begun: string[] = [];
  private readonly ends: (() => void)[] = [];

  task(name: string): () => Promise<void> {
    return () => {
      this.begun.push(name);
      return new Promise((resolve) => this.ends.push(resolve));
    };
  }

  async endOne(): Promise<void> {
    this.ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('the fair queue', () => {
  it('runs one task at a time', async () => {
    const queue = new FairQueue(3);
    const desk = new Desk();
    for (const name of ['a', 'b']) queue.add(name, desk.task(name));
    expect(desk.begun).toEqual(['a']);
    await desk.endOne();
    expect(desk.begun).toEqual(['a', 'b']);
  });

  it('takes the names in turn, however many tasks one of them has', async () => {
    const queue = new FairQueue(3);
    const desk = new Desk();
    for (const task of ['first', 'a1', 'a2', 'a3', 'b1', 'c1']) queue.add(task.slice(0, 1), desk.task(task));
    for (let done = 0; done < 6; done += 1) await desk.endOne();
    expect(desk.begun).toEqual(['first', 'a1', 'b1', 'c1', 'a2', 'a3']);
  });

  it('bounds what waits under a name, and no other', async () => {
    const queue = new FairQueue(2);
    const desk = new Desk();
    expect(['a', 'a', 'a', 'a', 'b'].map((name) => queue.add(name, desk.task(name)))).toEqual([true, true, true, false, true]);
    await desk.endOne();
    expect(queue.add('b', desk.task('b'))).toBe(true);
  });

  it('goes on after a task that fails', async () => {
    const queue = new FairQueue(2);
    const desk = new Desk();
    queue.add('a', () => Promise.reject(new Error('failed')));
    queue.add('b', desk.task('b'));
    await desk.endOne();
    expect(desk.begun).toEqual(['b']);
  });
});
