import {
  NoResponders,
  refuseTooLarge,
  RequestTimedOut,
  type Bus,
  type BusMessage,
  type Headers,
  type KeyValue,
  type KeyValueEntry,
  type RequestOptions,
  type Subscription,
} from '@perdure/kernel';
import type { ManualHost } from './manual-host';

interface Subscriber {
  readonly pattern: readonly string[];
  readonly queue: string | undefined;
  readonly handler: (message: BusMessage) => void;
}

/** A bus within one spec: messages arrive in the same turn, in order; nothing is ever lost unless the spec says so. */
export class LoopbackBus implements Bus {
  readonly requested: { readonly subject: string; readonly payload: string; readonly atMs: number }[] = [];
  private readonly subscribers = new Set<Subscriber>();
  private readonly reconnectListeners = new Set<() => void>();

  constructor(private readonly host: ManualHost) {}

  async request(subject: string, payload: string, { timeoutMs }: RequestOptions): Promise<string> {
    refuseTooLarge(subject, payload);
    this.requested.push({ subject, payload, atMs: this.host.clock.monotonicMs() });
    const receivers = this.receiversOf(subject);
    if (receivers.length === 0) throw new NoResponders(subject);
    return new Promise((resolve, reject) => {
      const cancel = this.host.timers.after(timeoutMs, () => reject(new RequestTimedOut(subject, timeoutMs)));
      const respond = (answer: string): void => {
        cancel();
        resolve(answer);
      };
      for (const { handler } of receivers) handler({ subject, payload, headers: {}, wantsReply: true, respond });
    });
  }

  publish(subject: string, payload: string, headers: Headers = {}): void {
    for (const { handler } of this.receiversOf(subject))
      handler({ subject, payload, headers, wantsReply: false, respond: () => undefined });
  }

  subscribe(subject: string, handler: (message: BusMessage) => void, options: { readonly queue?: string } = {}): Subscription {
    const subscriber: Subscriber = { pattern: subject.split('.'), queue: options.queue, handler };
    this.subscribers.add(subscriber);
    return { close: async () => void this.subscribers.delete(subscriber) };
  }

  onReconnect(listener: () => void): Subscription {
    this.reconnectListeners.add(listener);
    return { close: async () => void this.reconnectListeners.delete(listener) };
  }

  reconnect(): void {
    for (const listener of this.reconnectListeners) listener();
  }

  /** All plain subscribers, and the first of each queue group. */
  private receiversOf(subject: string): readonly Subscriber[] {
    const groups = new Set<string>();
    return [...this.subscribers].filter(({ pattern, queue }) => {
      if (!matches(pattern, subject.split('.')) || (queue !== undefined && groups.has(queue))) return false;
      if (queue !== undefined) groups.add(queue);
      return true;
    });
  }
}

function matches(pattern: readonly string[], subject: readonly string[]): boolean {
  const open = pattern.at(-1) === '>';
  if (open ? subject.length < pattern.length : subject.length !== pattern.length) return false;
  return pattern.every((part, index) => part === '>' || part === '*' || part === subject[index]);
}

/** Shared state within one spec. `failing` makes it unreachable. */
export class LoopbackKeyValue implements KeyValue {
  failing = false;
  private readonly entries = new Map<string, KeyValueEntry>();
  private readonly watchers = new Set<{
    readonly keys: string;
    readonly onChange: (key: string, value: string | undefined, revision: number) => void;
  }>();
  private revision = 0;

  async get(key: string): Promise<KeyValueEntry | undefined> {
    this.check();
    return this.entries.get(key);
  }

  async compareAndSet(key: string, value: string, expected: number): Promise<number | undefined> {
    this.check();
    return (this.entries.get(key)?.revision ?? 0) === expected ? this.set(key, value) : undefined;
  }

  async put(key: string, value: string): Promise<number> {
    this.check();
    return this.set(key, value);
  }

  async delete(key: string): Promise<void> {
    this.check();
    this.entries.delete(key);
    this.revision += 1;
    this.tell(key, undefined);
  }

  watch(keys: string, onChange: (key: string, value: string | undefined, revision: number) => void): Subscription {
    const watcher = { keys, onChange };
    this.watchers.add(watcher);
    for (const { key, value, revision } of this.entries.values()) if (isUnder(keys, key)) onChange(key, value, revision);
    return { close: async () => void this.watchers.delete(watcher) };
  }

  private set(key: string, value: string): number {
    this.revision += 1;
    this.entries.set(key, { key, value, revision: this.revision });
    this.tell(key, value);
    return this.revision;
  }

  private tell(key: string, value: string | undefined): void {
    for (const { keys, onChange } of this.watchers) if (isUnder(keys, key)) onChange(key, value, this.revision);
  }

  private check(): void {
    if (this.failing) throw new NoResponders('key value');
  }
}

function isUnder(keys: string, key: string): boolean {
  return keys === '>' || keys === key || (keys.endsWith('.>') && key.startsWith(keys.slice(0, -1)));
}
