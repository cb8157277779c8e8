import type { FactMark } from '@perdure/kernel';
import type { DueChanges, DueIndex, DueRange, OpenTimer } from '@perdure/timer-contract';

export interface DueIndexFixture {
  readonly index: DueIndex;
  /** The same one, as the next process finds it. */
  reopen(): Promise<DueIndex>;
  stop(): Promise<void>;
}

const NOTHING: DueChanges = { opened: [], closed: [], ended: [] };
const ALL: DueRange = { after: -Infinity, untilMs: Infinity, limit: Infinity };

function mark(revision: number): FactMark {
  return { stream: 'run-acme.r', revision, id: `fact-${revision}`, position: { commit: String(revision), prepare: '0' } };
}

function timer(group: string, id: string, [value, revision]: readonly [number, number]): OpenTimer {
  return { group, id, value, revision };
}

/** What every DueIndex must do. `open` gives an empty one. */
export function dueIndexContract(adapter: string, open: () => Promise<DueIndexFixture>): void {
  describe(`${adapter} as a DueIndex`, () => {
    let fixture: DueIndexFixture;
    let index: DueIndex;

    beforeEach(async () => {
      fixture = await open();
      index = fixture.index;
    });
    afterEach(() => fixture.stop());

    const write = (changes: Partial<DueChanges>, revision = 1): Promise<void> =>
      index.write({ ...NOTHING, ...changes }, mark(revision));
    const names = (range: Partial<DueRange> = {}): string[] =>
      index.due({ ...ALL, ...range }).map(({ group, id }) => `${group}/${id}`);

    it('is empty at first, and has seen nothing', () => {
      expect([index.size, index.reached, names()]).toEqual([0, undefined, []]);
    });

    it('gives back by name what was put into it', async () => {
      const late = timer('run-acme.ä', 'sleep:1', [1_764_000_000_123.5, 7]);
      await write({ opened: [late, timer('run-acme.b', 'x', [0, 0])] });
      expect(index.get('run-acme.ä', 'sleep:1')).toEqual(late);
      expect(index.get('run-acme.ä', 'sleep')).toBeUndefined();
      expect(index.size).toBe(2);
    });

    it('tells timers in the order of their due times, whatever the order in which they came', async () => {
      const times = [5, -3, 1e15, 0, 2.5, -1e6, 256, 255, 65_536];
      await write({ opened: times.map((at) => timer('run-acme.r', `at ${at}`, [at, 1])) });
      expect(index.due(ALL).map(({ value }) => value)).toEqual([...times].sort((left, right) => left - right));
    });

    it('tells a range: after one time, until another and with it', async () => {
      await write({ opened: [1, 2, 3, 4].map((at) => timer(`run-acme.${at}`, 'x', [at, 1])) });
      expect(names({ after: 1, untilMs: 3 })).toEqual(['run-acme.2/x', 'run-acme.3/x']);
      expect(names({ after: 4 })).toEqual([]);
      expect(names({ untilMs: 0.5 })).toEqual([]);
    });

    it('goes on after the last one of a page, also among those of one moment', async () => {
      const opened = ['c', 'a', 'e', 'b', 'd'].map((name) => timer('run-acme.r', name, [7, 1]));
      await write({ opened });
      const seen: string[] = [];
      let after: OpenTimer | number = 6;
      for (;;) {
        const page = index.due({ after, untilMs: 7, limit: 2 });
        seen.push(...page.map(({ id }) => id));
        const last = page.at(-1);
        if (last === undefined) break;
        after = last;
      }
      expect(seen).toEqual(['a', 'b', 'c', 'd', 'e']);
    });

    it('moves a timer that is opened anew', async () => {
      await write({ opened: [timer('run-acme.r', 'x', [10, 1])] });
      await write({ opened: [timer('run-acme.r', 'x', [20, 5])] }, 2);
      expect(index.due(ALL)).toEqual([timer('run-acme.r', 'x', [20, 5])]);
      expect(index.size).toBe(1);
    });

    it('closes what is there, unless a later fact has opened it', async () => {
      await write({ opened: [timer('run-acme.r', 'x', [10, 1]), timer('run-acme.r', 'y', [11, 8])] });
      const closed = ['x', 'y', 'z'].map((id) => ({ group: 'run-acme.r', id, revision: 4 }));
      await write({ closed }, 2);
      expect(names()).toEqual(['run-acme.r/y']);
      expect(index.get('run-acme.r', 'x')).toBeUndefined();
    });

    it('ends a group, and none whose name only begins like it', async () => {
      const groups = ['run-acme.r', 'run-acme.r1', 'run-acme.r-', 'run-acme.q'];
      await write({ opened: groups.flatMap((group) => [timer(group, 'x', [1, 1]), timer(group, 'y', [2, 9])]) });
      await write({ ended: [{ group: 'run-acme.r', revision: 5 }] }, 2);
      expect(names().sort()).toEqual(
        groups.flatMap((group) => (group === 'run-acme.r' ? [`${group}/y`] : [`${group}/x`, `${group}/y`])).sort(),
      );
    });

    it('closes before it opens', async () => {
      await write({ opened: [timer('run-acme.r', 'x', [10, 1])] });
      const opened = [timer('run-acme.r', 'x', [20, 3])];
      await write({ opened, closed: [{ group: 'run-acme.r', id: 'x', revision: 2 }] }, 2);
      expect(index.due(ALL)).toEqual(opened);
    });

    it('takes more changes than fit into one step', async () => {
      const opened = Array.from({ length: 2_500 }, (_, at) => timer(`run-acme.${at % 50}`, String(at), [at, 1]));
      await write({ opened });
      expect(index.size).toBe(2_500);
      const ended = Array.from({ length: 50 }, (_, at) => ({ group: `run-acme.${at}`, revision: 1 }));
      await write({ ended }, 2);
      expect([index.size, names()]).toEqual([0, []]);
    });

    it('is found again by the next process, with the last fact it has seen and nothing else of it', async () => {
      await write({ opened: [timer('run-acme.r', 'x', [10, 1])] });
      await index.write(NOTHING, { ...mark(7), type: 'TimerSet', data: { secret: true } } as FactMark);
      index = await fixture.reopen();
      expect(index.reached).toEqual(mark(7));
      expect(names()).toEqual(['run-acme.r/x']);
    });

    it('has seen nothing once it was cleared', async () => {
      await write({ opened: [timer('run-acme.r', 'x', [10, 1])] });
      await index.clear();
      expect([index.size, index.reached, names()]).toEqual([0, undefined, []]);
      index = await fixture.reopen();
      expect([index.size, index.reached]).toEqual([0, undefined]);
    });
  });
}
