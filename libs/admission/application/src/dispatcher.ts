import { PoolQueue, QUEUE_MAX, poolKey, type PermitLedger, type RunRecord, type Workers } from '@perdure/admission-domain';
import type { Cancel, Host } from '@perdure/kernel';
import type { Refusals } from './refusals';
import type { ReleaseOutcome, Releases } from './releases';

/** After a release that was refused or not answered, before the same run is tried again. */
const RETRY_FIRST_MS = 100;
const RETRY_MAX_MS = 5_000;

interface Parts {
  readonly host: Host;
  readonly ledger: PermitLedger;
  readonly workers: Workers;
  readonly releases: Releases;
  readonly refusals: Refusals;
}

/** What the leader does with those that wait; it exists for one term. */
export class Dispatcher {
  private readonly queues = new Map<string, PoolQueue>();
  private readonly retrying = new Map<RunRecord, { readonly waitMs: number; readonly cancel: Cancel }>();
  private ended = false;

  constructor(
    private readonly parts: Parts,
    private readonly term: () => number | undefined,
    private readonly queueMax: number = QUEUE_MAX,
  ) {}

  /** All that waits, in the order in which it came. */
  begin(): void {
    const waiting = [...this.parts.ledger.records()].filter((record) => record.state === 'waiting');
    waiting.sort((left, right) => left.ticket - right.ticket);
    for (const record of waiting) this.queueOf(record).add(record);
    for (const [key, queue] of this.queues) {
      for (const record of queue.excess()) this.refuse(record);
      this.pump(key);
    }
  }

  /** Called for each change of a record, before the queues are pumped. */
  changed(record: RunRecord): void {
    this.cancelRetry(record);
    const queue = this.queueOf(record);
    if (record.state !== 'waiting') queue.remove(record);
    else if (queue.isFullFor(record)) this.refuse(record);
    else queue.add(record);
  }

  pump(key: string): void {
    const queue = this.queues.get(key);
    if (queue === undefined || queue.length === 0) return;
    const { host, workers, ledger, releases } = this.parts;
    const nowMs = host.clock.monotonicMs();
    for (let term = this.term(); term !== undefined && !this.ended; term = this.term()) {
      const next = queue.next((record) => workers.pick(record, nowMs));
      if (next === undefined) return;
      ledger.grant(next.record, next.worker);
      workers.place(next.record);
      releases.begin(next.record, next.worker, term);
    }
  }

  settled(record: RunRecord, outcome: ReleaseOutcome): void {
    const { ledger, workers } = this.parts;
    // It stays granted until the fact of its assignment is seen.
    if (outcome === 'accepted') return;
    const { workerId, sessionId } = record;
    if (workerId !== undefined && sessionId !== undefined) workers.free(record, { workerId, sessionId });
    if (outcome === 'not-queued' || outcome === 'gone') {
      this.cancelRetry(record);
      if (outcome === 'gone') ledger.forget(record);
      else ledger.idle(record);
    } else {
      ledger.revoke(record);
      this.retryLater(record);
    }
    this.pump(poolKey(record));
  }

  queue(record: RunRecord): PoolQueue {
    return this.queueOf(record);
  }

  isRetrying(record: RunRecord): boolean {
    return this.retrying.has(record) && !this.queueOf(record).has(record);
  }

  end(): void {
    this.ended = true;
    for (const { cancel } of this.retrying.values()) cancel();
    this.retrying.clear();
    this.queues.clear();
  }

  private refuse(record: RunRecord): void {
    this.queueOf(record).remove(record);
    this.parts.ledger.refuse(record);
    this.parts.refusals.add(record);
  }

  private retryLater(record: RunRecord): void {
    const before = this.retrying.get(record);
    before?.cancel();
    const waitMs = before === undefined ? RETRY_FIRST_MS : Math.min(before.waitMs * 2, RETRY_MAX_MS);
    const cancel = this.parts.host.timers.after(waitMs, () => {
      if (this.ended || record.state !== 'waiting') return;
      this.queueOf(record).add(record);
      this.pump(poolKey(record));
    });
    this.retrying.set(record, { waitMs, cancel });
  }

  private cancelRetry(record: RunRecord): void {
    this.retrying.get(record)?.cancel();
    this.retrying.delete(record);
  }

  private queueOf(record: RunRecord): PoolQueue {
    const key = poolKey(record);
    const queue = this.queues.get(key) ?? new PoolQueue(this.queueMax);
    this.queues.set(key, queue);
    return queue;
  }
}
