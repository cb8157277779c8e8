import { ADMISSION_STATUS_SUBJECT, ADMISSION_TERM_STARTED, type AdmissionStatus } from '@perdure/admission-contract';
import { PermitLedger, QUEUE_MAX, Workers, poolKey, type CapacityFact } from '@perdure/admission-domain';
import {
  delay,
  type Bus,
  type BusMessage,
  type EventStore,
  type Host,
  type Json,
  type Keeper,
  type KeyValue,
  type RecordedEvent,
  type Subscription,
} from '@perdure/kernel';
import { RunCommands, Tombstones, followHints } from '@perdure/keeper-application';
import { heartbeat, heartbeatSubject, workerAddress, type Heartbeat } from '@perdure/run-contract';
import { CAPACITY_EVENT_TYPES, capacityFact } from './capacity-facts';
import { Dispatcher } from './dispatcher';
import { CLOCK_SKEW_MS, Leadership, RELEASE_NOT_AFTER_MS } from './leadership';
import { Refusals } from './refusals';
import { Releases } from './releases';
import { parseStatusRequest, statusOf } from './status';
import { TermMint } from './term-mint';

// Admission of one cell: leader and standby are the same code with the same knowledge.
//
// 1. The ledger is folded always, from the log and from hints; only the leader acts on it.
// 2. A request for capacity leads to its release in the same turn when a slot is free: no timer lies between.
// 3. A permit is given at most once at a time: a run is released only while it waits, a slot only while it is free.

export interface AdmissionPorts {
  readonly bus: Bus;
  /** Compare-and-set for the lease of the leader. */
  readonly leases: KeyValue;
  readonly store: EventStore;
  readonly host: Host;
  /** The place that this process runs in: no two live processes share one. */
  readonly instanceId: string;
}

export interface AdmissionOptions {
  /** Runs that may wait in one pool of one tenant. */
  readonly queueMax?: number;
}

export class Admission {
  readonly keeper: Keeper;
  private readonly workers = new Workers();
  private readonly ledger = new PermitLedger(new Tombstones());
  private readonly releases: Releases;
  private readonly refusals: Refusals;
  private readonly leadership: Leadership;
  private readonly terms: TermMint;
  private readonly subscriptions: Subscription[] = [];
  private dispatcher: Dispatcher | undefined;

  constructor(
    private readonly ports: AdmissionPorts,
    private readonly options: AdmissionOptions = {},
  ) {
    const { host, bus } = ports;
    const commands = new RunCommands({ bus, host }, 'admission');
    this.releases = new Releases(
      { host, commands },
      {
        onOutcome: (record, outcome) => {
          if (outcome === 'superseded') this.leadership.stepDown();
          this.dispatcher?.settled(record, outcome);
        },
      },
    );
    this.refusals = new Refusals({ host, commands });
    this.terms = new TermMint(ports);
    this.leadership = new Leadership({ ...ports, terms: this.terms }, { onLead: () => this.lead(), onLost: () => this.follow() });
    this.keeper = this.asKeeper();
  }

  /** Permits held, over all pools. */
  get permitsHeld(): number {
    return this.ledger.permitsHeld;
  }

  /** The term in which this process leads, if it does. */
  get term(): number | undefined {
    return this.leadership.term;
  }

  /** The keeper must have been registered with the follower before. */
  start(): void {
    const { bus, host } = this.ports;
    this.subscriptions.push(
      followHints({ bus, host }, CAPACITY_EVENT_TYPES, (fact) => this.learn(capacityFact(fact), false)),
      bus.subscribe(heartbeatSubject.all, (message) => this.onHeartbeat(message)),
      bus.subscribe(ADMISSION_STATUS_SUBJECT, (message) => this.onStatusRequest(message)),
    );
    this.leadership.start();
  }

  /** Releases under way are waited for, shortly, so that a successor may start at once. */
  async close(): Promise<void> {
    this.dispatcher?.end();
    await this.leadership.stop(() => this.isIdleSoon());
    await Promise.all(this.subscriptions.map((subscription) => subscription.close()));
  }

  private asKeeper(): Keeper {
    return {
      name: 'admission',
      eventTypes: [...CAPACITY_EVENT_TYPES, ADMISSION_TERM_STARTED],
      // The index comes in parts, never as a whole.
      restore: () => {
        this.ledger.clear();
        this.workers.reset([]);
      },
      restorePart: (part: Json) => {
        for (const record of this.ledger.restorePart(part)) this.workers.place(record);
      },
      apply: (fact: RecordedEvent) => {
        if (fact.type === ADMISSION_TERM_STARTED) this.terms.told(fact);
        else this.learn(capacityFact(fact), true);
      },
      snapshot: () => [...this.ledger.snapshotParts()],
      snapshotParts: () => {
        for (const forgotten of this.ledger.sweep()) this.dispatcher?.changed(forgotten);
        return this.ledger.snapshotParts();
      },
    };
  }

  private learn(fact: CapacityFact, confirmed: boolean): void {
    const change = this.ledger.apply(fact, { confirmed, nowMs: this.ports.host.clock.nowMs() });
    if (change === undefined) return;
    const { record, freed, ended } = change;
    if (freed !== undefined) this.workers.free(record, freed);
    if (record.state === 'held' && !ended) this.workers.place(record);
    this.dispatcher?.changed(record);
    this.dispatcher?.pump(poolKey(record));
  }

  private onHeartbeat(message: BusMessage): void {
    const beat = parseHeartbeat(message);
    if (beat === undefined) {
      this.ports.host.log.warn('a heartbeat was not understood', { subject: message.subject });
      return;
    }
    this.dispatcher?.pump(this.workers.beat(beat, this.ports.host.clock.monotonicMs()));
  }

  private onStatusRequest(message: BusMessage): void {
    if (!this.leadership.holdsLease || !message.wantsReply) return;
    const request = parseStatusRequest(message.payload);
    const { ledger, workers, dispatcher } = this;
    const nowMs = this.ports.host.clock.monotonicMs();
    const status: AdmissionStatus =
      request === undefined ? { state: 'unknown' } : statusOf(request, { ledger, workers, dispatcher, nowMs });
    message.respond(JSON.stringify(status));
  }

  private lead(): void {
    const { host } = this.ports;
    const { ledger, workers, releases, refusals } = this;
    this.dispatcher = new Dispatcher(
      { host, ledger, workers, releases, refusals },
      () => this.leadership.term,
      this.options.queueMax ?? QUEUE_MAX,
    );
    this.dispatcher.begin();
  }

  /** What was under way is the successor's business: here it waits again, until the log says how it went. */
  private follow(): void {
    this.dispatcher?.end();
    this.dispatcher = undefined;
    this.refusals.abandonAll();
    this.releases.abandonAll();
    for (const record of this.ledger.records())
      if (record.state === 'granted' || record.state === 'refusing') this.ledger.revoke(record);
    this.workers.reset(this.ledger.records());
  }

  private async isIdleSoon(): Promise<boolean> {
    const { host } = this.ports;
    const untilMs = host.clock.monotonicMs() + RELEASE_NOT_AFTER_MS + CLOCK_SKEW_MS;
    while (this.releases.count > 0 && host.clock.monotonicMs() < untilMs) await delay(host, 20);
    return this.releases.count === 0;
  }
}

/** What is said must be said where it belongs: a worker speaks for itself only. */
function parseHeartbeat(message: BusMessage): Heartbeat | undefined {
  try {
    const parsed = heartbeat.safeParse(JSON.parse(message.payload));
    if (!parsed.success || heartbeatSubject.build(workerAddress(parsed.data)) !== message.subject) return undefined;
    return parsed.data;
  } catch {
    return undefined;
  }
}
