import { type EventStore, type RecordedEvent } from '@perdure/kernel';
import { ManualHost, eventStoreContract } from '@perdure/testing';
import { MemoryEventStore, MemoryLog } from './index';

eventStoreContract('MemoryEventStore', async () => {
  const log = new MemoryLog(new ManualHost().clock);
  const made: EventStore[] = [];
  const another = (): EventStore => {
    const store = new MemoryEventStore(log);
    made.push(store);
    return store;
  };
  return { store: another(), another, stop: async () => void (await Promise.all(made.map((store) => store.close()))) };
});

function eventOf(sequence: number) {
  return { id: `00000000-0000-4000-8000-${String(sequence).padStart(12, '0')}`, type: 'Happened', data: {}, metadata: {} };
}

describe('MemoryLog', () => {
  it('lets a simulator decide when followers run', async () => {
    const host = new ManualHost();
    const tasks: (() => void)[] = [];
    const store = new MemoryEventStore(new MemoryLog(host.clock, { schedule: (task) => void tasks.push(task) }));
    const seen: RecordedEvent[] = [];
    store.follow('run-a', { after: 'start', onEvent: (event) => void seen.push(event) });
    await store.append('run-a', 'no-stream', [eventOf(1)]);
    await host.timers.turn();
    expect(seen).toEqual([]);
    while (tasks.length > 0) {
      tasks.shift()?.();
      await host.timers.turn();
    }
    expect(seen.map(({ revision }) => revision)).toEqual([0]);
  });

  it('gives an event again whose handler threw', async () => {
    const host = new ManualHost();
    const store = new MemoryEventStore(new MemoryLog(host.clock, { retry: queueMicrotask }));
    const seen: number[] = [];
    const onEvent = async ({ revision }: RecordedEvent): Promise<void> => {
      seen.push(revision);
      if (seen.length === 1) throw new Error('not yet');
    };
    store.follow('run-a', { after: 'start', onEvent });
    await store.append('run-a', 'no-stream', [eventOf(1), eventOf(2)]);
    await host.timers.turn();
    expect(seen).toEqual([0, 0, 1]);
  });

  it('lets events age by its clock', async () => {
    const host = new ManualHost();
    const store = new MemoryEventStore(new MemoryLog(host.clock));
    await store.append('run-a', 'no-stream', [eventOf(1)]);
    await store.setStreamMetadata('run-a', { maxAgeSeconds: 10 });
    const read = { direction: 'forward', from: 'start', limit: 10 } as const;
    expect(await store.read('run-a', read)).toHaveLength(1);
    await host.advance(11_000);
    expect(await store.read('run-a', read)).toEqual([]);
  });
});
