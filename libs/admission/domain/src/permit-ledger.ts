import { InvariantViolated, SharedWords, type Json } from '@perdure/kernel';
import type { CapacityFact } from './capacity-fact';
import { recordKey, type RunKey, type RunRecord } from './run-record';

// The fold of every fact that matters to capacity, over all live runs.
//
// 1. The latest revision wins: a fact that is not newer than what is known of its run changes nothing.
// 2. A run that has ended stays ended, also when its beginning is told late.
// 3. Which build a run is pinned to is told by facts of its own: they have a revision of their own here.
// 4. Only what the log has told enters a checkpoint: the log tells the rest again.

export interface LedgerChange {
  readonly record: RunRecord;
  /** Who held it before, if anybody. */
  readonly freed: { readonly workerId: string; readonly sessionId: string } | undefined;
  readonly ended: boolean;
}

/** Remembers ends; see `Tombstones` of the keepers. */
export interface Ends {
  bury(id: string, revision: number, confirmed: boolean): void;
  covers(id: string, revision: number): boolean;
  sweep(): void;
  clear(): void;
}

/** Runs in one part of a snapshot: some 10 ms of work on a busy machine. */
const PART_RUNS = 4_000;

/** Shape of the parts; one of another version is not read, and the log is read instead. */
const SNAPSHOT_VERSION = 2;

/** Checkpoints after which a run that only the bus has told of is forgotten: it was a late repeat. */
const UNCONFIRMED_SWEEPS = 2;

export class PermitLedger {
  private readonly runs = new Map<string, RunRecord>();
  private readonly unconfirmed = new Map<RunRecord, number>();
  private readonly words = new SharedWords();
  private tickets = 0;
  private sweeps = 0;
  private held = 0;

  constructor(private readonly ends: Ends) {}

  /** Permits held: assigned minus suspended, paused and ended. */
  get permitsHeld(): number {
    return this.held;
  }

  get size(): number {
    return this.runs.size;
  }

  get(key: RunKey): RunRecord | undefined {
    return this.runs.get(recordKey(key));
  }

  records(): IterableIterator<RunRecord> {
    return this.runs.values();
  }

  /** @returns undefined when the fact is no news */
  apply(fact: CapacityFact, source: { readonly confirmed: boolean; readonly nowMs: number }): LedgerChange | undefined {
    const key = recordKey(fact);
    const known = this.runs.get(key);
    if (fact.change.type === 'ended') return this.end(key, fact, { known, confirmed: source.confirmed });
    if (this.ends.covers(key, fact.revision)) return undefined;
    if (known === undefined) return this.begin(key, fact, source);
    if (source.confirmed && fact.change.type === 'requested') this.confirm(known);
    this.pin(known, fact);
    if (fact.change.type === 'repinned') return { record: known, freed: undefined, ended: false };
    if (fact.revision <= known.revision) return undefined;
    return this.advance(known, fact, source.nowMs);
  }

  /** A release for it is on its way to the owner. */
  grant(record: RunRecord, worker: { readonly workerId: string; readonly sessionId: string }): void {
    this.moveTo(record, 'granted');
    record.workerId = worker.workerId;
    record.sessionId = worker.sessionId;
  }

  /** There is no room for it, and its owner is being told. */
  refuse(record: RunRecord): void {
    this.moveTo(record, 'refusing');
  }

  /** The release, or the refusal, came to nothing: it waits again, at its old place. */
  revoke(record: RunRecord): void {
    this.moveTo(record, 'waiting');
    record.workerId = undefined;
    record.sessionId = undefined;
  }

  /** The owner says that this run asks for nothing; a later fact may say otherwise. */
  idle(record: RunRecord): void {
    this.moveTo(record, 'idle');
    record.workerId = undefined;
    record.sessionId = undefined;
  }

  /** The owner says that there is no such run any more. */
  forget(record: RunRecord): void {
    const key = recordKey(record);
    this.ends.bury(key, record.revision, false);
    this.drop(key, record);
  }

  /** Once a checkpoint, before `snapshotParts`. @returns what is forgotten: only the bus had told of it, and long ago */
  sweep(): readonly RunRecord[] {
    this.ends.sweep();
    const forgotten: RunRecord[] = [];
    for (const [record, sinceSweep] of this.unconfirmed) {
      if (this.sweeps - sinceSweep < UNCONFIRMED_SWEEPS || record.state === 'granted') continue;
      this.drop(recordKey(record), record);
      forgotten.push(record);
    }
    this.sweeps += 1;
    return forgotten;
  }

  /** Once a checkpoint, part by part; runs may change between two parts, since the latest revision wins. */
  *snapshotParts(): Generator<Json> {
    // Runs that are added meanwhile stand behind those that are there now.
    let left = this.runs.size;
    let runs: Json[] = [];
    for (const record of this.runs.values()) {
      if (left === 0) break;
      left -= 1;
      if (record.confirmed) runs.push(encode(record));
      if (runs.length < PART_RUNS) continue;
      yield { v: SNAPSHOT_VERSION, runs };
      runs = [];
    }
    yield { v: SNAPSHOT_VERSION, runs };
  }

  /** Empty, as before the first fact. */
  clear(): void {
    this.runs.clear();
    this.unconfirmed.clear();
    this.ends.clear();
    this.held = 0;
    this.tickets = 0;
  }

  /**
   * @returns the runs in it
   * @throws InvariantViolated when the part is not one of this ledger
   */
  restorePart(part: Json): readonly RunRecord[] {
    const records = itemsOf(part).map((item) => this.sharing(decode(item)));
    for (const record of records) {
      this.runs.set(recordKey(record), record);
      this.tickets = Math.max(this.tickets, record.ticket);
      if (isHolding(record)) this.held += 1;
    }
    return records;
  }

  private begin(
    key: string,
    fact: CapacityFact,
    source: { readonly confirmed: boolean; readonly nowMs: number },
  ): LedgerChange | undefined {
    // Anything but the request of a run that is not known is either the tail of an ended one, or ahead of its request: the log brings both.
    if (fact.change.type !== 'requested') return undefined;
    const { tenant, revision } = fact;
    const { pool, name, pins, atMs } = fact.change;
    const { words } = this;
    const record: RunRecord = {
      tenant: words.of(tenant),
      // A part of the key: that text is held once.
      runId: key.slice(tenant.length + 1),
      pool: words.of(pool),
      name: words.of(name),
      revision,
      state: 'waiting',
      ticket: this.nextTicket(),
      sinceMs: atMs,
      workerId: undefined,
      sessionId: undefined,
      preferredWorkerId: undefined,
      pins,
      build: undefined,
      buildRevision: revision,
      fresh: true,
      confirmed: source.confirmed,
    };
    this.runs.set(key, record);
    if (!source.confirmed) this.unconfirmed.set(record, this.sweeps);
    return { record, freed: undefined, ended: false };
  }

  private advance(record: RunRecord, fact: CapacityFact, nowMs: number): LedgerChange {
    const before = holderOf(record);
    record.revision = fact.revision;
    const { change } = fact;
    switch (change.type) {
      case 'asked-again':
        this.moveTo(record, 'waiting');
        record.ticket = this.nextTicket();
        record.sinceMs = nowMs;
        record.preferredWorkerId = this.shared(change.preferredWorkerId);
        break;
      case 'assigned':
        this.moveTo(record, 'held');
        record.fresh = false;
        record.workerId = this.words.of(change.workerId);
        record.sessionId = this.words.of(change.sessionId);
        return { record, freed: sameHolder(before, change) ? undefined : before, ended: false };
      case 'unplaced':
        this.moveTo(record, 'held');
        record.fresh = false;
        break;
      case 'let-go':
        this.moveTo(record, 'idle');
        break;
      case 'requested':
      case 'repinned':
      case 'ended':
        throw new InvariantViolated(`${change.type} cannot follow in the story of a run`, {
          runId: fact.runId,
          revision: fact.revision,
        });
    }
    record.workerId = undefined;
    record.sessionId = undefined;
    return { record, freed: before, ended: false };
  }

  private end(
    key: string,
    fact: CapacityFact,
    at: { readonly known: RunRecord | undefined; readonly confirmed: boolean },
  ): LedgerChange | undefined {
    this.ends.bury(key, fact.revision, at.confirmed);
    if (at.known === undefined) return undefined;
    const freed = holderOf(at.known);
    this.drop(key, at.known);
    return { record: at.known, freed, ended: true };
  }

  private drop(key: string, record: RunRecord): void {
    this.moveTo(record, 'idle');
    this.runs.delete(key);
    this.unconfirmed.delete(record);
  }

  private confirm(record: RunRecord): void {
    record.confirmed = true;
    this.unconfirmed.delete(record);
  }

  private moveTo(record: RunRecord, state: RunRecord['state']): void {
    if (isHolding(record)) this.held -= 1;
    record.state = state;
    if (isHolding(record)) this.held += 1;
  }

  private nextTicket(): number {
    this.tickets += 1;
    return this.tickets;
  }

  /** What it says of the pin holds whatever is known of where the run stands: the facts may come out of order. */
  private pin(record: RunRecord, { change, revision }: CapacityFact): void {
    // An agent is pinned only where somebody asked for a certain build.
    if (change.type === 'repinned') record.pins = true;
    if (!record.pins || revision <= record.buildRevision) return;
    if (change.type === 'assigned' || change.type === 'repinned') record.build = this.shared(change.buildId);
    else if (change.type === 'let-go' && change.unpins === true) record.build = undefined;
    else return;
    record.buildRevision = revision;
  }

  private sharing(record: RunRecord): RunRecord {
    return {
      ...record,
      tenant: this.words.of(record.tenant),
      runId: recordKey(record).slice(record.tenant.length + 1),
      pool: this.words.of(record.pool),
      name: this.words.of(record.name),
      workerId: this.shared(record.workerId),
      sessionId: this.shared(record.sessionId),
      preferredWorkerId: this.shared(record.preferredWorkerId),
      build: this.shared(record.build),
    };
  }

  private shared(word: string | undefined): string | undefined {
    return word === undefined ? undefined : this.words.of(word);
  }
}

function isHolding(record: RunRecord): boolean {
  return record.state === 'held' || record.state === 'granted';
}

function holderOf({ workerId, sessionId }: RunRecord): LedgerChange['freed'] {
  return workerId === undefined || sessionId === undefined ? undefined : { workerId, sessionId };
}

function sameHolder(before: LedgerChange['freed'], now: { readonly sessionId: string }): boolean {
  return before?.sessionId === now.sessionId;
}

/** A release or refusal under way when the checkpoint was taken has a fact that follows, or came to nothing. */
function encode(record: RunRecord): Json {
  const { tenant, runId, pool, name, revision, state, ticket, sinceMs, workerId, sessionId, preferredWorkerId, fresh } = record;
  const { pins, build, buildRevision } = record;
  const kept = state === 'granted' || state === 'refusing' ? 'waiting' : state;
  const holder = state === 'held' ? [workerId ?? null, sessionId ?? null] : [null, null];
  return [
    tenant,
    runId,
    pool,
    name,
    revision,
    kept,
    ticket,
    sinceMs,
    ...holder,
    preferredWorkerId ?? null,
    fresh,
    pins,
    build ?? null,
    buildRevision,
  ];
}

function decode(item: Json): RunRecord {
  const [
    tenant,
    runId,
    pool,
    name,
    revision,
    state,
    ticket,
    sinceMs,
    workerId,
    sessionId,
    preferredWorkerId,
    fresh,
    pins,
    build,
    buildRevision,
  ] = item as [
    string,
    string,
    string,
    string,
    number,
    RunRecord['state'],
    number,
    number,
    string | null,
    string | null,
    string | null,
    boolean,
    boolean,
    string | null,
    number,
  ];
  return {
    tenant,
    runId,
    pool,
    name,
    revision,
    state,
    ticket,
    sinceMs,
    fresh,
    pins,
    buildRevision,
    build: build ?? undefined,
    confirmed: true,
    workerId: workerId ?? undefined,
    sessionId: sessionId ?? undefined,
    preferredWorkerId: preferredWorkerId ?? undefined,
  };
}

function itemsOf(snapshot: Json): readonly Json[] {
  const { v, runs } = (snapshot ?? {}) as { readonly v?: Json; readonly runs?: Json };
  if (v !== SNAPSHOT_VERSION || !Array.isArray(runs))
    throw new InvariantViolated('Not a snapshot of a permit ledger, or of another version');
  return runs as readonly Json[];
}
