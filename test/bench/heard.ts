import type { Stack } from '@perdure/cli';
import { connectBus, type BusConnection } from '@perdure/platform-bus-jetstream';
import { systemHost } from '@perdure/platform-host-node';
import { eventSubject, publishedFact } from '@perdure/run-contract';

export function listening(stack: Stack): Promise<BusConnection> {
  const host = systemHost({ service: 'bench', write: () => undefined });
  return connectBus({ url: stack.natsUrl, name: 'bench', ...stack.brokerUsers.service, host, use: 'core' });
}

/** What goes over the bus of timers, and of the ends of runs that had one. */
export class Heard {
  readonly firedLateMs: number[] = [];
  readonly endedLateMs: number[] = [];
  private readonly due = new Map<string, number>();

  constructor({ bus }: BusConnection) {
    bus.subscribe(eventSubject.ofType('TimerFired'), ({ payload }) => {
      const { stream, data, metadata } = publishedFact.parse(JSON.parse(payload));
      this.due.set(stream, Number(data.dueAtMs));
      this.firedLateMs.push((metadata.atMs ?? 0) - Number(data.dueAtMs));
    });
    bus.subscribe(eventSubject.ofType('RunCompleted'), ({ payload }) => {
      const { stream } = publishedFact.parse(JSON.parse(payload));
      const dueAtMs = this.due.get(stream);
      if (dueAtMs !== undefined) this.endedLateMs.push(Date.now() - dueAtMs);
    });
  }

  clear(): void {
    this.firedLateMs.length = 0;
    this.endedLateMs.length = 0;
  }
}
