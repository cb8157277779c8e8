import type { FactMark } from '@perdure/kernel';
import { MemoryDueIndex } from '@perdure/platform-due-index-memory';
import fc from 'fast-check';
import { DueWindow } from './due-window';
import { OpenTimers } from './open-timers';

// Random stories of one disk and the processes that come and go before it, against the plainest model: the log, folded.

type Step =
  | { readonly do: 'set'; readonly run: number; readonly timer: number; readonly inMs: number }
  | { readonly do: 'close'; readonly run: number; readonly timer: number }
  | { readonly do: 'end'; readonly run: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'save' | 'restart' | 'hint' };

const run = fc.nat(2);
const timer = fc.nat(1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('set' as const), run, timer, inMs: fc.integer({ min: -5_000, max: 40_000 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('close' as const), run, timer }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('end' as const), run }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 70_000 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('save' as const, 'restart' as const, 'hint' as const) }) },
);

interface Fact {
  readonly mark: FactMark;
  readonly group: string;
  readonly id: string;
  readonly dueAtMs: number | 'closed' | 'ended';
}

class Scene {
  private readonly disk = new MemoryDueIndex();
  private readonly log: Fact[] = [];
  private readonly revisions = new Map<string, number>();
  private readonly ended = new Set<number>();
  private nowMs = 0;
  private timers!: OpenTimers;
  private window!: DueWindow;

  constructor() {
    this.begin();
  }

  async perform(step: Step): Promise<void> {
    switch (step.do) {
      case 'set':
        return this.happen(step.run, `t${step.timer}`, this.nowMs + step.inMs);
      case 'close':
        return this.happen(step.run, `t${step.timer}`, 'closed');
      case 'end':
        this.happen(step.run, '', 'ended');
        this.ended.add(step.run);
        return;
      case 'pass':
        this.nowMs += step.ms;
        return this.look();
      case 'save':
        return this.save();
      case 'restart':
        return this.begin();
      case 'hint':
        // What the bus repeats late changes nothing.
        for (const fact of this.log) this.tell(fact, 'hint');
    }
  }

  /** What is open by the log, and what is open here; what is due by the log, and what has come into memory of that. */
  seen() {
    this.look();
    while (this.window.hasOverdue) this.window.fetchOverdue();
    const open = new Map<string, number>();
    for (const { group, id, dueAtMs } of this.log) {
      if (typeof dueAtMs === 'number') open.set(`${group}/${id}`, dueAtMs);
      else
        for (const name of open.keys())
          if (name === `${group}/${id}` || (dueAtMs === 'ended' && name.startsWith(`${group}/`))) open.delete(name);
    }
    const due = [...open].filter(([, atMs]) => atMs <= this.nowMs).map(([name]) => name);
    const met = [...this.timers.near()].filter(({ value }) => value <= this.nowMs).map(({ group, id }) => `${group}/${id}`);
    return { expected: { open: open.size, due: due.sort() }, found: { open: this.timers.size, due: met.sort() } };
  }

  private happen(runNumber: number, id: string, dueAtMs: Fact['dueAtMs']): void {
    if (this.ended.has(runNumber)) return;
    const group = `run-acme.${runNumber}`;
    const revision = (this.revisions.get(group) ?? -1) + 1;
    this.revisions.set(group, revision);
    const place = String(this.log.length);
    const fact = {
      mark: { stream: group, revision, id: place, position: { commit: place, prepare: place } },
      group,
      id,
      dueAtMs,
    };
    this.log.push(fact);
    this.tell(fact, 'log');
  }

  private begin(): void {
    this.timers = new OpenTimers(this.disk);
    this.window = new DueWindow(this.timers);
    const { saved } = this.timers;
    for (const fact of this.log.slice(saved === undefined ? 0 : Number(saved.id) + 1)) this.tell(fact, 'log');
    this.look();
  }

  private tell({ mark: { revision }, group, id, dueAtMs }: Fact, source: 'log' | 'hint'): void {
    if (dueAtMs === 'ended') this.timers.closeGroup(group, revision, source);
    else if (dueAtMs === 'closed') this.timers.close({ group, id, revision }, source);
    else this.timers.open({ group, id, revision }, dueAtMs);
  }

  private look(): void {
    while ((this.window.nextFetchAtMs ?? Infinity) <= this.nowMs) this.window.fetchNear(this.nowMs);
  }

  private async save(): Promise<void> {
    const last = this.log.at(-1);
    if (last !== undefined) await this.timers.save(last.mark);
  }
}

describe('open timers, on disk and in memory', () => {
  it('are those of the log, whatever was saved, forgotten, repeated and read again', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const scene = new Scene();
        for (const one of steps) await scene.perform(one);
        const { expected, found } = scene.seen();
        expect(found).toEqual(expected);
      }),
      { numRuns: 1_000 },
    );
  });
});
