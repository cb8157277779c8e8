import { Terminal, type KeyValue, type KeyValueEntry, type Subscription } from '@perdure/kernel';
import type { Bucket, MemoryBroker } from './memory-broker';

const KEY = /^[A-Za-z0-9_-]{1,128}(\.[A-Za-z0-9_-]{1,128}){0,7}$/;

export class MemoryKeyValue implements KeyValue {
  private readonly bucket: Bucket;

  constructor(
    broker: MemoryBroker,
    bucket: string,
    private readonly isAlive: () => boolean,
  ) {
    this.bucket = broker.bucket(bucket);
  }

  async get(key: string): Promise<KeyValueEntry | undefined> {
    await this.answer();
    return this.bucket.entries.get(check(key));
  }

  async compareAndSet(key: string, value: string, expected: number): Promise<number | undefined> {
    await this.answer();
    return (this.bucket.entries.get(check(key))?.revision ?? 0) === expected ? this.set(key, value) : undefined;
  }

  async put(key: string, value: string): Promise<number> {
    await this.answer();
    return this.set(check(key), value);
  }

  async delete(key: string): Promise<void> {
    await this.answer();
    if (!this.bucket.entries.delete(check(key))) return;
    this.bucket.revision += 1;
    this.tell(key, undefined);
  }

  watch(keys: string, onChange: (key: string, value: string | undefined, revision: number) => void): Subscription {
    if (keys !== '>') check(keys.endsWith('.>') ? keys.slice(0, -2) : keys);
    let open = true;
    const watcher = (key: string, value: string | undefined, revision: number): void => {
      const wanted = keys === '>' || keys === key || (keys.endsWith('.>') && key.startsWith(keys.slice(0, -1)));
      if (wanted) queueMicrotask(() => open && this.isAlive() && onChange(key, value, revision));
    };
    this.bucket.watchers.add(watcher);
    for (const { key, value, revision } of this.bucket.entries.values()) watcher(key, value, revision);
    return {
      close: async () => {
        open = false;
        this.bucket.watchers.delete(watcher);
      },
    };
  }

  private set(key: string, value: string): number {
    this.bucket.revision += 1;
    const { revision } = this.bucket;
    this.bucket.entries.set(key, { key, value, revision });
    this.tell(key, value);
    return revision;
  }

  private tell(key: string, value: string | undefined): void {
    for (const watcher of this.bucket.watchers) watcher(key, value, this.bucket.revision);
  }

  private async answer(): Promise<void> {
    await Promise.resolve();
    if (!this.isAlive()) await new Promise<never>(() => undefined);
  }
}

function check(key: string): string {
  if (KEY.test(key)) return key;
  throw new Terminal('InvalidSubject', `${JSON.stringify(key.slice(0, 120))} is not a key that may go to the bus.`);
}
