import { PromiseIndex, type PromiseKey, type Source } from '@perdure/keeper-application';
import { InvariantViolated, type FactMark } from '@perdure/kernel';
import type { DueIndex, DueRange, OpenTimer } from '@perdure/timer-contract';

// Open timers: the near ones and the news in memory, all the others on disk.
//
// 1. Disk and memory together hold every open timer that was told. What was closed stays noted until the disk knows it.
// 2. Whatever is due until `nearUntilMs` and was met stays in memory until it is closed.
// 3. What happens while a save is under way belongs to the next one.

/** `opened`: those that were not in memory yet. */
export interface Page {
  readonly opened: readonly OpenTimer[];
  /** Undefined when there is no more in the range. */
  readonly last: OpenTimer | undefined;
}

export class OpenTimers {
  nearUntilMs = -Infinity;
  private readonly memory = new PromiseIndex<number>({ encode: (dueAtMs) => dueAtMs, decode: asNumber });
  private readonly unwritten = new Set<OpenTimer>();
  private readonly closed = new Map<string, PromiseKey>();
  private readonly ended = new Map<string, number>();
  /** Asked for at every turn: the disk need not be. */
  private isStored: boolean;

  constructor(private readonly disk: DueIndex) {
    this.isStored = disk.size > 0;
  }

  get saved(): FactMark | undefined {
    return this.disk.reached;
  }

  get inMemory(): number {
    return this.memory.size;
  }

  /** Whether some may be open that are due later than `nearUntilMs`. */
  get hasFar(): boolean {
    return this.isStored || this.unwritten.size > 0;
  }

  /** All that are open, by looking through them all. */
  get size(): number {
    const stored = this.disk.due({ after: -Infinity, untilMs: Infinity, limit: Infinity });
    return this.memory.size + stored.filter((timer) => !this.isOver(timer) && !this.memory.get(timer.group, timer.id)).length;
  }

  /** In memory, not yet closed. */
  has(timer: OpenTimer): boolean {
    return this.memory.get(timer.group, timer.id) === timer;
  }

  /** Every change is idempotent, as those of `PromiseIndex` are. @returns the new one */
  open(key: PromiseKey, dueAtMs: number): OpenTimer | undefined {
    const before = this.memory.get(key.group, key.id);
    const timer = this.memory.open(key, dueAtMs);
    if (timer === undefined) return undefined;
    if (before !== undefined) this.unwritten.delete(before);
    this.unwritten.add(timer);
    return timer;
  }

  close(key: PromiseKey, source: Source): void {
    const timer = this.memory.close(key, source);
    if (timer !== undefined) this.unwritten.delete(timer);
    this.closed.set(nameOf(key), key);
  }

  closeGroup(group: string, revision: number, source: Source): void {
    for (const timer of this.memory.closeGroup(group, revision, source)) this.unwritten.delete(timer);
    this.ended.set(group, revision);
  }

  /** It was fired; the fact that says so is on its way. */
  settle(timer: OpenTimer): void {
    if (this.has(timer)) this.close(timer, 'hint');
  }

  /** Brings those of a range from disk into memory. */
  fetch(range: DueRange): Page {
    const page = this.disk.due(range);
    const opened = page.flatMap((timer) => (this.isOver(timer) ? [] : (this.memory.open(timer, timer.value) ?? [])));
    return { opened, last: page.length < range.limit ? undefined : page.at(-1) };
  }

  /** News, not on disk yet, due after the first time and until the second. */
  newsBetween(afterMs: number, untilMs: number): readonly OpenTimer[] {
    return [...this.unwritten].filter(({ value }) => value > afterMs && value <= untilMs);
  }

  *near(): Generator<OpenTimer> {
    for (const timer of this.memory.entries()) if (timer.value <= this.nearUntilMs) yield timer;
  }

  async save(upTo: FactMark): Promise<void> {
    const [opened, closed, ended] = [[...this.unwritten], [...this.closed], [...this.ended]];
    const changes = {
      opened,
      closed: closed.map(([, key]) => key),
      ended: ended.map(([group, revision]) => ({ group, revision })),
    };
    await this.disk.write(changes, upTo);
    this.isStored = this.disk.size > 0;
    for (const timer of opened) this.written(timer);
    for (const [name, key] of closed) if (this.closed.get(name) === key) this.closed.delete(name);
    for (const [group, revision] of ended) if (this.ended.get(group) === revision) this.ended.delete(group);
    this.memory.sweepEnds();
  }

  async clear(): Promise<void> {
    await this.disk.clear();
    this.isStored = false;
  }

  private written(timer: OpenTimer): void {
    this.unwritten.delete(timer);
    if (timer.value > this.nearUntilMs) this.memory.evict(timer);
  }

  private isOver(timer: OpenTimer): boolean {
    const closedAt = this.closed.get(nameOf(timer))?.revision ?? -1;
    return Math.max(closedAt, this.ended.get(timer.group) ?? -1) >= timer.revision;
  }
}

function nameOf({ group, id }: PromiseKey): string {
  return `${group}\n${id}`;
}

function asNumber(json: unknown): number {
  if (typeof json !== 'number') throw new InvariantViolated('The due time of a timer is a number');
  return json;
}
