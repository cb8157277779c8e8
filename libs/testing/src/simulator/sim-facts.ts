import {
  BusUnavailable,
  type FactBus,
  type KeyValue,
  type KeyValueEntry,
  type OutgoingFact,
  type Subscription,
} from '@perdure/kernel';
import type { SimBroker, SimLink } from './sim-broker';

/** A process that dies may take with it what it has just written to its connection. */
const LOST_WITH_PROCESS = 0.5;
const ANSWER_TIMEOUT_MS = 300;

/** Publishes in order and learns at `confirm` whether anything was lost, as the adapter for JetStream does. */
export class SimFactBus implements FactBus {
  private doubt: string | undefined;
  private unproven = 0;
  private lastArrivalMs = 0;
  private readonly random;

  constructor(
    private readonly broker: SimBroker,
    private readonly link: SimLink,
  ) {
    this.random = broker.simulation.random.split(`facts of ${link.name}`);
    const wiped = (): void => {
      if (this.unproven > 0) this.doubt ??= 'the stream was made anew';
    };
    broker.wipes.add(wiped);
    link.process.onEnd(() => broker.wipes.delete(wiped));
  }

  publish(facts: readonly OutgoingFact[]): void {
    for (const fact of facts) {
      if (!this.link.process.alive || this.doubt !== undefined) return;
      this.unproven += 1;
      if (!this.link.connected) this.doubt = 'there was no connection';
      else this.send(fact);
    }
  }

  private send(fact: OutgoingFact): void {
    const { broker, link } = this;
    const { simulation } = broker;
    if (broker.faults.strikes('busLost')) {
      this.doubt = 'a fact was lost on its way';
      return;
    }
    this.lastArrivalMs = Math.max(simulation.nowMs + broker.hopMs(), this.lastArrivalMs + 0.001);
    const isLostWithProcess = this.random.chance(LOST_WITH_PROCESS);
    const arrive = (): void => {
      if (!link.process.alive && isLostWithProcess) return;
      const { messageId, subject, payload, headers } = fact;
      if (broker.everStored.has(messageId)) return;
      broker.everStored.set(messageId, { messageId, atMs: simulation.nowMs });
      broker.route({ subject, payload, headers, from: link.name });
    };
    simulation.at(this.lastArrivalMs - simulation.nowMs, arrive, { label: `${link.name} publishes ${fact.subject}` });
  }

  confirm(): Promise<void> {
    const { simulation } = this.broker;
    const { process } = this.link;
    if (!this.link.connected) this.doubt ??= 'there was no connection';
    if (this.broker.faults.strikes('busLost')) this.doubt ??= 'the broker did not say that they are stored';
    const covered = this.unproven;
    const arrivedInMs = Math.max(0, this.lastArrivalMs - simulation.nowMs) + this.broker.hopMs();
    return process.answer(this.doubt === undefined ? arrivedInMs : ANSWER_TIMEOUT_MS, 'facts confirmed', () => {
      if (this.doubt === undefined) {
        this.unproven -= covered;
        return;
      }
      const reason = this.doubt;
      this.doubt = undefined;
      this.unproven = 0;
      throw new BusUnavailable(`Facts published last may be lost: ${reason}.`);
    });
  }
}

interface Watch {
  readonly link: SimLink;
  readonly prefix: string;
  readonly exact: boolean;
  readonly known: Map<string, number>;
  onChange(key: string, value: string | undefined, revision: number): void;
  closed: boolean;
}

/** One bucket at the broker. */
export class SimBucket {
  private readonly entries = new Map<string, KeyValueEntry>();
  private readonly watches = new Set<Watch>();
  private revision = 0;

  constructor(
    private readonly broker: SimBroker,
    private readonly name: string,
  ) {
    broker.wipes.add(() => {
      this.entries.clear();
      this.changed();
    });
  }

  for(link: SimLink): KeyValue {
    const call = <T>(label: string, perform: () => T): Promise<T> => this.call(link, label, perform);
    return {
      get: (key) => call(`got ${key}`, () => this.entries.get(key)),
      put: (key, value) => call(`put ${key}`, () => this.write(key, value)),
      compareAndSet: (key, value, expected) =>
        call(`set ${key}`, () => ((this.entries.get(key)?.revision ?? 0) === expected ? this.write(key, value) : undefined)),
      delete: (key) =>
        call(`deleted ${key}`, () => {
          this.revision += 1;
          this.entries.delete(key);
          this.changed();
        }),
      watch: (keys, onChange) => this.watch(link, keys, onChange),
    };
  }

  private call<T>(link: SimLink, label: string, perform: () => T): Promise<T> {
    const { broker } = this;
    const { process } = link;
    const unavailable = (afterMs: number): Promise<T> =>
      process.answer(afterMs, `${this.name} unavailable`, () => {
        throw new BusUnavailable(`The bucket ${this.name} does not answer.`);
      });
    if (!process.alive) return new Promise(() => undefined);
    if (!link.connected || broker.faults.strikes('busLost')) return unavailable(ANSWER_TIMEOUT_MS);
    const isAnswerLost = broker.faults.strikes('busLost');
    return new Promise((resolve, reject) => {
      broker.simulation.at(
        broker.hopMs(),
        () => {
          const result = perform();
          const answer = isAnswerLost ? unavailable(ANSWER_TIMEOUT_MS) : process.answer(broker.hopMs(), label, () => result);
          answer.then(resolve, reject);
        },
        { label: `${link.name} ${this.name} ${label}` },
      );
    });
  }

  private write(key: string, value: string): number {
    this.revision += 1;
    this.entries.set(key, { key, value, revision: this.revision });
    this.changed();
    return this.revision;
  }

  private watch(link: SimLink, keys: string, onChange: Watch['onChange']): Subscription {
    const exact = !keys.endsWith('>');
    const watch: Watch = { link, prefix: exact ? keys : keys.slice(0, -1), exact, known: new Map(), onChange, closed: false };
    const again = (): void => this.tell(watch);
    this.watches.add(watch);
    link.listeners.add(again);
    const close = async (): Promise<void> => {
      watch.closed = true;
      this.watches.delete(watch);
      link.listeners.delete(again);
    };
    link.process.onEnd(() => void close());
    this.tell(watch);
    return { close };
  }

  private changed(): void {
    for (const watch of this.watches) this.tell(watch);
  }

  /** A watch that missed something learns at its next contact how things stand. */
  private tell(watch: Watch): void {
    watch.link.process.schedule(this.broker.hopMs(), `${this.name} watch`, () => {
      if (watch.closed || !watch.link.connected) return;
      for (const key of [...watch.known.keys()]) {
        if (this.entries.has(key)) continue;
        watch.known.delete(key);
        watch.onChange(key, undefined, this.revision);
      }
      for (const { key, value, revision } of [...this.entries.values()]) {
        const isMatch = watch.exact ? key === watch.prefix : key.startsWith(watch.prefix);
        if (!isMatch || watch.known.get(key) === revision) continue;
        watch.known.set(key, revision);
        watch.onChange(key, value, revision);
      }
    });
  }
}
