import type { BusMessage, Headers, KeyValueEntry, OutgoingFact, Timers } from '@perdure/kernel';
import { CommandQueue } from './command-queue';
import { MemoryConnection } from './memory-connection';
import { SubjectTree } from './subject-tree';

/** What becomes of one message on its way. A request and its answer are two messages. */
export type Fate = 'deliver' | 'drop' | 'duplicate' | { readonly delayMs: number };

export interface MessageOnItsWay {
  readonly kind: 'message' | 'request' | 'answer' | 'fact' | 'command';
  readonly subject: string;
  readonly payload: string;
  /** Name of the sender's connection. */
  readonly from: string;
}

export interface MemoryBrokerOptions {
  readonly timers: Timers;
  /** Time until a command that its handler has not ended is given to another. */
  readonly commandAckWaitMs?: number;
  readonly fate?: (message: MessageOnItsWay) => Fate;
}

export interface Registration {
  readonly connection: MemoryConnection;
  readonly pattern: string;
  readonly queue: string | undefined;
  readonly handler: (message: BusMessage) => void;
}

export interface StoredFact extends OutgoingFact {
  readonly sequence: number;
}

export interface Bucket {
  revision: number;
  readonly entries: Map<string, KeyValueEntry>;
  readonly watchers: Set<(key: string, value: string | undefined, revision: number) => void>;
}

const COMMAND_ACK_WAIT_MS = 10_000;

/**
 * One broker in memory, shared by the connections of several "processes". Deterministic: messages move in microtasks,
 * in the order of sending, unless `fate` or the timers say otherwise.
 */
export class MemoryBroker {
  facts: StoredFact[] = [];
  deadLetters: { readonly subject: string; readonly payload: string; readonly headers: Headers }[] = [];
  /** Goes up by one with each wipe. */
  incarnation = 0;
  readonly commands: CommandQueue;
  /** With the order of their coming, in which they are served. */
  private readonly registrations = new Map<Registration, number>();
  private readonly patterns = new SubjectTree<Registration>();
  private registered = 0;
  private readonly buckets = new Map<string, Bucket>();
  private readonly connections = new Set<MemoryConnection>();
  private readonly factIds = new Set<string>();
  private readonly turns = new Map<string, number>();

  constructor(private readonly options: MemoryBrokerOptions) {
    this.commands = new CommandQueue(options.timers, options.commandAckWaitMs ?? COMMAND_ACK_WAIT_MS);
  }

  get timers(): Timers {
    return this.options.timers;
  }

  connect(name: string): MemoryConnection {
    const connection = new MemoryConnection(this, name);
    this.connections.add(connection);
    return connection;
  }

  /** The broker restarts with nothing of what it had stored; every connection comes back. */
  wipe(): void {
    this.incarnation += 1;
    this.facts = [];
    this.deadLetters = [];
    this.factIds.clear();
    this.commands.wipe();
    for (const bucket of this.buckets.values()) {
      const keys = [...bucket.entries.keys()];
      bucket.entries.clear();
      bucket.revision = 0;
      for (const key of keys) for (const watcher of bucket.watchers) watcher(key, undefined, 0);
    }
    this.restart();
  }

  /** The broker restarts and keeps what it had stored. */
  restart(): void {
    for (const connection of this.connections) connection.reconnected();
  }

  forget(connection: MemoryConnection): void {
    this.connections.delete(connection);
    for (const registration of this.registrations.keys()) if (registration.connection === connection) this.remove(registration);
    this.commands.forget(connection);
  }

  register(registration: Registration): () => void {
    this.registered += 1;
    this.registrations.set(registration, this.registered);
    this.patterns.add(registration.pattern, registration);
    return () => this.remove(registration);
  }

  bucket(name: string): Bucket {
    const found = this.buckets.get(name) ?? { revision: 0, entries: new Map(), watchers: new Set() };
    this.buckets.set(name, found);
    return found;
  }

  /** Moves a message as its fate wills; `arrive` may run never, once or twice. */
  carry(message: MessageOnItsWay, arrive: () => void): Fate {
    const fate = this.options.fate?.(message) ?? 'deliver';
    if (fate === 'drop') return fate;
    if (typeof fate === 'object') this.options.timers.after(fate.delayMs, arrive);
    else {
      queueMicrotask(arrive);
      if (fate === 'duplicate') queueMicrotask(arrive);
    }
    return fate;
  }

  /** The subscribers that get a message: every plain one, and one of each queue group in turn. */
  receivers(subject: string): readonly Registration[] {
    const plain: Registration[] = [];
    const groups = new Map<string, Registration[]>();
    const orderOf = (registration: Registration): number => this.registrations.get(registration) ?? 0;
    for (const registration of this.patterns.match(subject).sort((left, right) => orderOf(left) - orderOf(right))) {
      const { queue } = registration;
      if (queue === undefined) plain.push(registration);
      else groups.set(queue, [...(groups.get(queue) ?? []), registration]);
    }
    for (const [queue, members] of groups) {
      const turn = this.turns.get(queue) ?? 0;
      this.turns.set(queue, turn + 1);
      const chosen = members[turn % members.length];
      if (chosen !== undefined) plain.push(chosen);
    }
    return plain;
  }

  store(fact: OutgoingFact): void {
    if (this.factIds.has(fact.messageId)) return;
    this.factIds.add(fact.messageId);
    this.facts.push({ ...fact, sequence: this.facts.length + 1 });
  }

  private remove(registration: Registration): void {
    this.registrations.delete(registration);
    this.patterns.remove(registration.pattern, registration);
  }
}
