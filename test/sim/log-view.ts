import type { RecordedEvent } from '@perdure/kernel';
import type { SimStoreServer } from '@perdure/testing';

/** What the log holds, by stream, read as it grows. */
export class LogView {
  readonly all: RecordedEvent[] = [];
  private readonly streams = new Map<string, RecordedEvent[]>();

  constructor(private readonly server: SimStoreServer) {}

  of(stream: string): readonly RecordedEvent[] {
    this.catchUp();
    return this.streams.get(stream) ?? [];
  }

  runs(): readonly (readonly [string, readonly RecordedEvent[]])[] {
    this.catchUp();
    return [...this.streams].filter(([stream]) => stream.startsWith('run-'));
  }

  facts(): readonly RecordedEvent[] {
    this.catchUp();
    return this.all.filter(({ stream }) => stream.startsWith('run-'));
  }

  private catchUp(): void {
    const { log } = this.server;
    for (let index = this.all.length; index < log.length; index += 1) {
      const event = log.event(index);
      this.all.push(event);
      const stream = this.streams.get(event.stream) ?? [];
      stream.push(event);
      this.streams.set(event.stream, stream);
    }
  }
}
