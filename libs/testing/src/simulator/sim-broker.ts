import {
  BusUnavailable,
  fnv1a32,
  NoResponders,
  PARTITIONS,
  RequestTimedOut,
  type Bus,
  type BusMessage,
  type Headers,
  type RequestOptions,
  type Subscription,
} from '@perdure/kernel';
import { SubjectTree } from '@perdure/platform-bus-memory';
import type { FaultPlan } from './fault-plan';
import type { SimProcess } from './sim-process';
import type { Simulation } from './simulation';

/** A connection of one process; the broker forgets it when the process dies. */
export class SimLink {
  connected = true;
  readonly listeners = new Set<() => void>();
  readonly subscriptions = new Set<Registration>();

  constructor(
    readonly process: SimProcess,
    readonly name: string,
  ) {}
}

interface Registration {
  readonly link: SimLink;
  readonly pattern: string;
  readonly queue: string | undefined;
  readonly handler: (message: BusMessage) => void;
}

/** A message on its way. */
export interface Sent {
  readonly subject: string;
  readonly payload: string;
  readonly headers: Headers;
  /** Name of the sender's connection. */
  readonly from: string;
  respond?(reply: string, responder: SimLink): void;
}

/** A request and its answer, as the broker saw them pass. */
export interface Exchange {
  readonly subject: string;
  readonly request: string;
  readonly reply: string;
  readonly responder: SimProcess;
}

export interface StoredFact {
  readonly messageId: string;
  readonly atMs: number;
}

const HOP_MS = [0.05, 0.4] as const;
const DELAY_MAX_MS = 400;
const UNAVAILABLE_AFTER_MS = 5;

/**
 * The broker: at most once for messages; every fact that was ever stored is remembered for the audit, also when a wipe
 * has taken it since. Between two connections order is kept, unless a fault breaks it.
 */
export class SimBroker {
  /** Every fact that the broker has stored at any time, by message id. */
  readonly everStored = new Map<string, StoredFact>();
  readonly exchanges = new Set<(exchange: Exchange) => void>();
  readonly wipes = new Set<() => void>();
  readonly disconnections = new Set<(connectionName: string) => void>();
  private readonly tree = new SubjectTree<Registration>();
  private readonly links = new Set<SimLink>();
  private readonly lastArrival = new Map<string, number>();
  private readonly random;

  constructor(
    readonly simulation: Simulation,
    readonly faults: FaultPlan,
  ) {
    this.random = simulation.random.split('broker');
  }

  connect(process: SimProcess, name = process.name): SimLink {
    const link = new SimLink(process, name);
    this.links.add(link);
    process.onEnd(() => this.forget(link));
    return link;
  }

  bus(link: SimLink): Bus {
    return new SimBus(this, link);
  }

  /** The network between one process and the broker is cut for a while. */
  disconnect(link: SimLink, forMs: number): void {
    if (!link.connected || !link.process.alive) return;
    link.connected = false;
    this.simulation.note(`${link.name} DISCONNECTED for ${forMs.toFixed(0)} ms`);
    this.tellDisconnected(link);
    this.simulation.at(forMs, () => this.reconnect(link), { label: `${link.name} reconnects` });
  }

  /** Everything that the broker holds is gone: streams and key-value buckets alike. */
  wipe(): void {
    this.simulation.note('BROKER WIPED');
    for (const tell of this.wipes) tell();
  }

  linksOf(process: SimProcess): readonly SimLink[] {
    return [...this.links].filter((link) => link.process === process);
  }

  register(registration: Registration): Subscription {
    this.tree.add(registration.pattern, registration);
    registration.link.subscriptions.add(registration);
    return {
      close: async () => {
        this.tree.remove(registration.pattern, registration);
        registration.link.subscriptions.delete(registration);
      },
    };
  }

  hopMs(): number {
    return this.random.between(...HOP_MS);
  }

  /** What somebody sends, when it arrives: each subscriber gets it, or not. @returns how many listen */
  route(message: Sent): number {
    const subject = mapSubject(message.subject);
    const receivers = this.chosen(this.tree.match(subject));
    for (const receiver of receivers) {
      const copies = this.faults.strikes('busDuplicated') ? 2 : 1;
      for (let copy = 0; copy < copies; copy += 1) this.deliver(receiver, { ...message, subject });
    }
    return receivers.length;
  }

  /** Milliseconds until arrival over one path; undefined = lost. */
  travelMs(path: string): number | undefined {
    if (this.faults.strikes('busLost')) return undefined;
    const delayMs = this.faults.strikes('busDelayed') ? this.random.between(0, DELAY_MAX_MS) : 0;
    const arrival = this.simulation.nowMs + this.hopMs() + delayMs;
    if (this.faults.strikes('busReordered')) return arrival - this.simulation.nowMs + this.random.between(0, 5);
    const ordered = Math.max(arrival, (this.lastArrival.get(path) ?? 0) + 0.001);
    this.lastArrival.set(path, ordered);
    return ordered - this.simulation.nowMs;
  }

  private deliver(receiver: Registration, { subject, payload, headers, from, respond }: Sent): void {
    const { link } = receiver;
    const travelMs = this.travelMs(`${from}>${link.name}`);
    if (travelMs === undefined) return;
    const message: BusMessage = {
      subject,
      payload,
      headers,
      wantsReply: respond !== undefined,
      respond: (reply) => respond?.(reply, link),
    };
    link.process.schedule(travelMs, `gets ${subject}`, () => {
      if (link.connected && link.subscriptions.has(receiver)) receiver.handler(message);
    });
  }

  /** One member of each queue group, and everybody who is in none. */
  private chosen(matching: readonly Registration[]): readonly Registration[] {
    const connected = matching.filter(({ link }) => link.connected);
    const groups = new Map<string, Registration[]>();
    const chosen: Registration[] = [];
    for (const registration of connected) {
      if (registration.queue === undefined) chosen.push(registration);
      else groups.set(registration.queue, [...(groups.get(registration.queue) ?? []), registration]);
    }
    for (const members of groups.values()) chosen.push(this.random.pick(members));
    return chosen;
  }

  private reconnect(link: SimLink): void {
    if (!link.process.alive || link.connected) return;
    link.connected = true;
    for (const listener of [...link.listeners]) link.process.schedule(0, 'reconnected', listener);
  }

  private forget(link: SimLink): void {
    link.connected = false;
    for (const registration of link.subscriptions) this.tree.remove(registration.pattern, registration);
    link.subscriptions.clear();
    this.links.delete(link);
    this.tellDisconnected(link);
  }

  private tellDisconnected(link: SimLink): void {
    const travelMs = this.travelMs('broker>observers');
    if (travelMs === undefined) return;
    this.simulation.at(travelMs, () => this.disconnections.forEach((tell) => tell(link.name)), {
      label: `broker says that ${link.name} closed`,
    });
  }
}

class SimBus implements Bus {
  constructor(
    private readonly broker: SimBroker,
    private readonly link: SimLink,
  ) {}

  request(subject: string, payload: string, { timeoutMs }: RequestOptions): Promise<string> {
    const { link, broker } = this;
    const { process } = link;
    if (!link.connected) {
      return process.answer(UNAVAILABLE_AFTER_MS, 'bus unavailable', () => {
        throw new BusUnavailable('The connection to the broker is down.');
      });
    }
    return new Promise((resolve, reject) => {
      const cancelTimeout = process.schedule(timeoutMs, 'request timed out', () =>
        reject(new RequestTimedOut(subject, timeoutMs)),
      );
      const respond = (reply: string, responder: SimLink): void =>
        this.passBack({ subject, request: payload, reply, responder: responder.process }, responder, () => {
          cancelTimeout();
          resolve(reply);
        });
      this.send({ subject, payload, headers: {}, from: link.name, respond }, (listening) => {
        if (listening > 0) return;
        process.schedule(broker.hopMs(), 'no responders', () => {
          cancelTimeout();
          reject(new NoResponders(subject));
        });
      });
    });
  }

  private passBack(exchange: Exchange, responder: SimLink, answered: () => void): void {
    const { broker, link } = this;
    if (!responder.process.alive || !responder.connected) return;
    for (const observe of broker.exchanges) observe(exchange);
    const travelMs = broker.travelMs(`${responder.name}>${link.name}`);
    if (travelMs === undefined) return;
    link.process.schedule(travelMs, `is answered ${exchange.subject}`, () => {
      if (link.connected) answered();
    });
  }

  publish(subject: string, payload: string, headers: Headers = {}): void {
    if (!this.link.process.alive || !this.link.connected) return;
    this.send({ subject, payload, headers, from: this.link.name });
  }

  private send(message: Sent, arrived: (listening: number) => void = () => undefined): void {
    const { broker, link } = this;
    const travelMs = broker.travelMs(`${link.name}>broker`);
    if (travelMs === undefined) return;
    broker.simulation.at(travelMs, () => arrived(broker.route(message)), { label: `${link.name} sends ${message.subject}` });
  }

  subscribe(subject: string, handler: (message: BusMessage) => void, options: { readonly queue?: string } = {}): Subscription {
    if (!this.link.process.alive) return { close: async () => undefined };
    return this.broker.register({ link: this.link, pattern: subject, queue: options.queue, handler });
  }

  onReconnect(listener: () => void): Subscription {
    this.link.listeners.add(listener);
    return { close: async () => void this.link.listeners.delete(listener) };
  }
}

/** The broker's own mapping, so that callers need not hash. */
function mapSubject(subject: string): string {
  const tokens = subject.split('.');
  const [root, kind, , , id] = tokens;
  if (root !== 'perdure' || (kind !== 'req' && kind !== 'cmd') || id === undefined) return subject;
  return ['perdure', 'part', String(fnv1a32(id) % PARTITIONS), ...tokens.slice(1)].join('.');
}
