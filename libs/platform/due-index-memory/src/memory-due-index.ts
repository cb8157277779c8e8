import type { FactMark } from '@perdure/kernel';
import type { DueChanges, DueIndex, DueRange, OpenTimer } from '@perdure/timer-contract';

/** A `DueIndex` that lives as long as whoever holds it. */
export class MemoryDueIndex implements DueIndex {
  reached: FactMark | undefined;
  private groups = new Map<string, Map<string, OpenTimer>>();

  get size(): number {
    return [...this.groups.values()].reduce((sum, timers) => sum + timers.size, 0);
  }

  get(group: string, id: string): OpenTimer | undefined {
    return this.groups.get(group)?.get(id);
  }

  due({ after, untilMs, limit }: DueRange): readonly OpenTimer[] {
    const all = [...this.groups.values()].flatMap((timers) => [...timers.values()]);
    const isAfter = (timer: OpenTimer): boolean => (typeof after === 'number' ? timer.value > after : compare(timer, after) > 0);
    return all
      .filter((timer) => timer.value <= untilMs && isAfter(timer))
      .sort(compare)
      .slice(0, limit);
  }

  async write({ opened, closed, ended }: DueChanges, reached: FactMark): Promise<void> {
    for (const { group, id, revision } of closed) this.remove(this.get(group, id), revision);
    for (const { group, revision } of ended)
      for (const timer of [...(this.groups.get(group)?.values() ?? [])]) this.remove(timer, revision);
    for (const timer of opened) this.groups.set(timer.group, new Map(this.groups.get(timer.group)).set(timer.id, { ...timer }));
    const { stream, revision, id, position } = reached;
    this.reached = { stream, revision, id, position };
  }

  async clear(): Promise<void> {
    this.groups = new Map();
    this.reached = undefined;
  }

  async close(): Promise<void> {}

  private remove(timer: OpenTimer | undefined, upToRevision: number): void {
    if (timer === undefined || timer.revision > upToRevision) return;
    const timers = this.groups.get(timer.group);
    timers?.delete(timer.id);
    if (timers?.size === 0) this.groups.delete(timer.group);
  }
}

function compare(left: OpenTimer, right: OpenTimer): number {
  return left.value - right.value || compareText(left.group, right.group) || compareText(left.id, right.id);
}

function compareText(left: string, right: string): number {
  return left === right ? 0 : left < right ? -1 : 1;
}
