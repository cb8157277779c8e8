import { MemoryDueIndex } from '@perdure/platform-due-index-memory';
import type { DueIndex } from '@perdure/timer-contract';
import type { SimProcess } from './sim-process';

/** One disk a role, which outlives its processes: what one has written before it died is there for the next. */
export class SimDisks {
  private readonly dueIndexes = new Map<string, DueIndex>();

  dueIndex(process: SimProcess): DueIndex {
    const disk = this.dueIndexes.get(process.role) ?? new MemoryDueIndex();
    this.dueIndexes.set(process.role, disk);
    const later = (label: string): Promise<void> =>
      process.alive ? process.answer(0.3, label, () => undefined) : new Promise(() => undefined);
    return {
      get reached() {
        return disk.reached;
      },
      get size() {
        return disk.size;
      },
      get: (group, id) => disk.get(group, id),
      due: (range) => disk.due(range),
      write: async (changes, reached) => {
        await later('timers closed on disk');
        if (disk.reached !== undefined) await disk.write({ ...changes, opened: [] }, disk.reached);
        await later('timers opened on disk');
        await disk.write(changes, reached);
      },
      clear: () => disk.clear(),
      close: () => disk.close(),
    };
  }
}
