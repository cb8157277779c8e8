import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { FactMark, Logger } from '@perdure/kernel';
import type { DueChanges, DueIndex, DueRange, OpenTimer } from '@perdure/timer-contract';
import { open, type Database, type RootDatabase } from 'lmdb';
import { dueKey, endOfGroup, groupPrefix, nameKey, timerOfDue, timerOfName, valueOf, wholeTime } from './due-keys';

/** Of the trees and their keys. Another one is deleted: the log tells everything again. */
const FORMAT = 1;
const REACHED = 'reached';
/** Some milliseconds of work for the event loop, and few enough pages touched twice. */
const CHANGES_A_BATCH = 1_000;

export interface LmdbDueIndexOptions {
  /** Of this process alone; made when it is not there. */
  readonly folder: string;
  readonly log: Logger;
}

interface Saved {
  readonly format: number;
  readonly reached: FactMark;
}

export class LmdbDueIndex implements DueIndex {
  private readonly root: RootDatabase<Saved, string>;
  private readonly byName: Database<Buffer, Buffer>;
  private readonly byDue: Database<Buffer, Buffer>;
  private mark: FactMark | undefined;

  constructor(folder: string) {
    // An answer to a write means that it is on the platter: no flush of another transaction stands in for it.
    this.root = open<Saved, string>({ path: folder, maxDbs: 2, overlappingSync: false, encoding: 'json' });
    const tree = { encoding: 'binary', keyEncoding: 'binary' } as const;
    this.byName = this.root.openDB<Buffer, Buffer>({ name: 'by-name', ...tree });
    this.byDue = this.root.openDB<Buffer, Buffer>({ name: 'by-due', ...tree });
    const saved = this.root.get(REACHED);
    if (saved !== undefined && saved.format !== FORMAT) {
      void this.root.close();
      throw new TypeError(`format ${saved.format}`);
    }
    this.mark = saved?.reached;
    if (this.mark === undefined) this.clearNow();
    this.due({ after: -Infinity, untilMs: Infinity, limit: 1 });
  }

  /**
   * The engine maps the file and believes it: a damaged one may end the process. So a mark stands beside it while it is
   * being opened, and who finds the mark of a process that did not get over it begins anew.
   */
  static open({ folder, log }: LmdbDueIndexOptions): LmdbDueIndex {
    const openings = `${folder}.opening`;
    const anew = (why: string): void => {
      log.warn('an index of timers on disk cannot be used; it is made anew from the log', { folder, why });
      rmSync(folder, { recursive: true, force: true });
    };
    mkdirSync(dirname(folder), { recursive: true, mode: 0o700 });
    if (existsSync(openings)) anew('a process ended while it was opened');
    writeFileSync(openings, '');
    const index = opened(folder, anew);
    rmSync(openings);
    return index;
  }

  get reached(): FactMark | undefined {
    return this.mark;
  }

  get size(): number {
    return (this.byName.getStats() as { readonly entryCount: number }).entryCount;
  }

  get(group: string, id: string): OpenTimer | undefined {
    const key = nameKey({ group, id });
    const value = this.byName.get(key);
    return value && timerOfName(key, value);
  }

  due({ after, untilMs, limit }: DueRange): readonly OpenTimer[] {
    const start = typeof after === 'number' ? wholeTime(after) : dueKey(after);
    const end = wholeTime(untilMs);
    const range = this.byDue.getRange({ start, exclusiveStart: true, end, ...(Number.isFinite(limit) ? { limit } : {}) });
    return [...range.map(({ key, value }) => timerOfDue(key, value))];
  }

  async write({ opened, closed, ended }: DueChanges, reached: FactMark): Promise<void> {
    await inBatches(closed, (some) =>
      this.batch(() => some.forEach((key) => this.remove(this.get(key.group, key.id), key.revision))),
    );
    await inBatches(ended, (some) =>
      this.batch(() => {
        for (const { group, revision } of some) for (const timer of this.inGroup(group)) this.remove(timer, revision);
      }),
    );
    await inBatches(opened, (some) => this.batch(() => some.forEach((timer) => this.put(timer))));
    const { stream, revision, id, position } = reached;
    this.mark = { stream, revision, id, position };
    await this.root.put(REACHED, { format: FORMAT, reached: this.mark });
  }

  async clear(): Promise<void> {
    this.clearNow();
  }

  close(): Promise<void> {
    return this.root.close();
  }

  private clearNow(): void {
    this.mark = undefined;
    this.root.transactionSync(() => {
      this.root.removeSync(REACHED);
      this.byName.clearSync();
      this.byDue.clearSync();
    });
  }

  private async batch(change: () => void): Promise<void> {
    await this.root.batch(change);
  }

  private inGroup(group: string): readonly OpenTimer[] {
    const range = this.byName.getRange({ start: groupPrefix(group), end: endOfGroup(group) });
    return [...range.map(({ key, value }) => timerOfName(key, value))];
  }

  private put(timer: OpenTimer): void {
    const before = this.get(timer.group, timer.id);
    if (before !== undefined) void this.byDue.remove(dueKey(before));
    void this.byName.put(nameKey(timer), valueOf(timer));
    void this.byDue.put(dueKey(timer), valueOf(timer));
  }

  private remove(timer: OpenTimer | undefined, upToRevision: number): void {
    if (timer === undefined || timer.revision > upToRevision) return;
    void this.byName.remove(nameKey(timer));
    void this.byDue.remove(dueKey(timer));
  }
}

async function inBatches<T>(changes: readonly T[], write: (some: readonly T[]) => Promise<void>): Promise<void> {
  for (let at = 0; at < changes.length; at += CHANGES_A_BATCH) await write(changes.slice(at, at + CHANGES_A_BATCH));
}

function opened(folder: string, anew: (why: string) => void): LmdbDueIndex {
  try {
    return new LmdbDueIndex(folder);
  } catch (error) {
    anew(String(error));
    return new LmdbDueIndex(folder);
  }
}
