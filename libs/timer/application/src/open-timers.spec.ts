import type { FactMark } from '@perdure/kernel';
import { MemoryDueIndex } from '@perdure/platform-due-index-memory';
import type { DueChanges } from '@perdure/timer-contract';
import { OpenTimers } from './open-timers';

const MARK: FactMark = { stream: 'run-acme.r', revision: 1, id: 'fact', position: { commit: '1', prepare: '1' } };
const keyed = (revision: number) => ({ group: 'run-acme.r', id: 'x', revision });

/** Writing takes as long as whoever has it in hand wants. */
class SlowDisk extends MemoryDueIndex {
  goOn: () => void = () => undefined;
  refuses = false;

  override async write(changes: DueChanges, reached: FactMark): Promise<void> {
    await new Promise<void>((resolve) => {
      this.goOn = resolve;
    });
    if (this.refuses) throw new TypeError('no space left on device');
    await super.write(changes, reached);
  }
}

describe('saving open timers', () => {
  let disk: SlowDisk;
  let timers: OpenTimers;

  beforeEach(() => {
    disk = new SlowDisk();
    timers = new OpenTimers(disk);
  });

  async function saveWhile(meanwhile: () => void): Promise<void> {
    const saved = timers.save(MARK);
    meanwhile();
    disk.goOn();
    await saved;
  }

  it('leaves to the next time what is closed meanwhile', async () => {
    timers.open(keyed(1), 5);
    timers.close(keyed(2), 'log');
    timers.open(keyed(3), 6);
    await saveWhile(() => timers.close(keyed(4), 'log'));
    expect([disk.size, timers.size]).toEqual([1, 0]);
    await saveWhile(() => undefined);
    expect(disk.size).toBe(0);
  });

  it('leaves to the next time what is opened meanwhile', async () => {
    timers.open(keyed(1), 5);
    await saveWhile(() => timers.open(keyed(3), 6));
    expect(timers.size).toBe(1);
    await saveWhile(() => undefined);
    expect(disk.get('run-acme.r', 'x')).toMatchObject({ value: 6, revision: 3 });
  });

  it('loses nothing when the disk refuses', async () => {
    timers.open(keyed(1), 5);
    disk.refuses = true;
    await expect(saveWhile(() => undefined)).rejects.toThrow('no space');
    expect(timers.size).toBe(1);
    disk.refuses = false;
    await saveWhile(() => undefined);
    expect([disk.size, timers.size]).toEqual([1, 1]);
  });
});
