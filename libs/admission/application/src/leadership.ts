import { ADMISSION_LEASE_KEY, admissionLease } from '@perdure/admission-contract';
import { delay, type Host, type KeyValue } from '@perdure/kernel';
import type { TermMint } from './term-mint';

// One leader per cell, by a lease and a term.
//
// 1. A lease is judged by the judge's own monotonic clock: nobody trusts a time that stands in it.
// 2. The leader stops by its own clock before any standby can have waited the lease out.
// 3. Who takes over from a dead leader waits until nothing that it sent can be accepted any more, then mints its term,
//    and leads when the log has told it that term: by then it has folded everything that came before.
// 4. Who finds the lease of its own place held by an earlier process has replaced that one, which is dead: it need not
//    wait the lease out, only what was sent.
// 5. Where there was no leader, or it said goodbye, nothing can be under way: there is no wait.

/** Without a renewal for this long, by a standby's clock, the leader is dead. */
export const LEASE_MS = 2_000;
export const LEASE_RENEW_MS = 500;
/** The leader stops this much earlier: more than two monotonic clocks drift apart in one lease. */
const LEASE_MARGIN_MS = 250;
const LEASE_POLL_MS = 250;
/** A release is accepted for so long, by the clock of its owner. */
export const RELEASE_NOT_AFTER_MS = 1_000;
/** Nodes whose clock is off by more get no partitions. */
export const CLOCK_SKEW_MS = 250;

export interface LeadershipEvents {
  onLead(term: number): void;
  onLost(): void;
}

interface Lease {
  revision: number;
  renewal: number;
  validUntilMs: number;
  readonly inherited: boolean;
}

export class Leadership {
  private lease: Lease | undefined;
  private termNow: number | undefined;
  private stopped = false;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly ports: {
      readonly leases: KeyValue;
      readonly host: Host;
      readonly terms: TermMint;
      readonly instanceId: string;
    },
    private readonly events: LeadershipEvents,
  ) {}

  /** Undefined unless releases may be sent now. */
  get term(): number | undefined {
    return this.holdsLease ? this.termNow : undefined;
  }

  get holdsLease(): boolean {
    return !this.stopped && this.lease !== undefined && this.ports.host.clock.monotonicMs() < this.lease.validUntilMs;
  }

  start(): void {
    this.running = this.run();
  }

  /** Somebody proved that a later term exists. */
  stepDown(): void {
    this.lease = undefined;
  }

  /** `idle`: nothing that was sent is still unanswered, so a successor need not wait. */
  async stop(idle: () => Promise<boolean>): Promise<void> {
    if (this.stopped) return;
    const leaves = this.holdsLease && (await idle()) && this.holdsLease;
    this.stopped = true;
    this.endTerm();
    if (leaves) await this.ports.leases.delete(ADMISSION_LEASE_KEY).catch(() => undefined);
    // A loop that waits in a timer ends at its next look; nobody need wait for it.
    void this.running;
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      try {
        await this.leadOnce();
      } catch (error) {
        this.ports.host.log.warn('leadership of admission: trying again', { error: String(error) });
        await delay(this.ports.host, LEASE_POLL_MS);
      }
      this.endTerm();
    }
  }

  private async leadOnce(): Promise<void> {
    const lease = await this.acquire();
    if (lease === undefined) return;
    this.lease = lease;
    const renewing = this.renewWhileHeld();
    try {
      if (lease.inherited) await delay(this.ports.host, RELEASE_NOT_AFTER_MS + CLOCK_SKEW_MS);
      const term = this.holdsLease ? await this.ports.terms.mint(() => this.holdsLease) : undefined;
      if (term !== undefined && this.holdsLease) {
        this.termNow = term;
        this.ports.host.log.info('admission leads', { term, inherited: lease.inherited });
        this.events.onLead(term);
      }
    } catch (error) {
      this.lease = undefined;
      throw error;
    } finally {
      await renewing;
    }
  }

  private endTerm(): void {
    const led = this.termNow !== undefined;
    this.termNow = undefined;
    this.lease = undefined;
    if (!led) return;
    if (this.stopped) this.ports.host.log.info('admission hands over');
    else this.ports.host.log.warn('admission no longer leads');
    this.events.onLost();
  }

  /** Resolves with the lease, or undefined when stopped. */
  private async acquire(): Promise<Lease | undefined> {
    const { leases, host } = this.ports;
    let seen = { revision: -1, sinceMs: 0 };
    let attempted: boolean | undefined;
    for (; !this.stopped; await delay(host, LEASE_POLL_MS)) {
      const entry = await leases.get(ADMISSION_LEASE_KEY);
      const nowMs = host.clock.monotonicMs();
      // An attempt whose answer was lost, and that had succeeded.
      if (entry !== undefined && attempted !== undefined && this.isOwn(entry.value))
        return this.leaseFrom(entry.revision, nowMs, attempted);
      if (entry !== undefined && entry.revision !== seen.revision && !this.isReplaced(entry.value)) {
        seen = { revision: entry.revision, sinceMs: nowMs };
        continue;
      }
      if (entry !== undefined && nowMs - seen.sinceMs < LEASE_MS && !this.isReplaced(entry.value)) continue;
      attempted = entry !== undefined;
      const revision = await leases
        .compareAndSet(ADMISSION_LEASE_KEY, this.value(0), entry?.revision ?? 0)
        .catch(() => undefined);
      if (revision !== undefined) return this.leaseFrom(revision, nowMs, attempted);
    }
    return undefined;
  }

  /** `atMs`: before the store was asked, so that the lease ends here before it ends anywhere else. */
  private leaseFrom(revision: number, atMs: number, inherited: boolean): Lease {
    return { revision, renewal: 0, validUntilMs: atMs + LEASE_MS - LEASE_MARGIN_MS, inherited };
  }

  /** Resolves when the lease is no longer held. */
  private async renewWhileHeld(): Promise<void> {
    const { host } = this.ports;
    while (this.holdsLease) {
      await delay(host, LEASE_RENEW_MS);
      const lease = this.lease;
      if (lease === undefined || !this.holdsLease) return;
      const atMs = host.clock.monotonicMs();
      try {
        if (!(await this.renew(lease, atMs))) this.lease = undefined;
      } catch (error) {
        host.log.warn('the lease of admission was not renewed yet', { error: String(error) });
      }
    }
  }

  /** @returns false when another one holds the lease */
  private async renew(lease: Lease, atMs: number): Promise<boolean> {
    const { leases } = this.ports;
    let revision = await leases.compareAndSet(ADMISSION_LEASE_KEY, this.value(lease.renewal + 1), lease.revision);
    if (revision === undefined) {
      // Perhaps an earlier renewal succeeded and its answer was lost.
      const entry = await leases.get(ADMISSION_LEASE_KEY);
      if (entry === undefined || !this.isOwn(entry.value)) return false;
      revision = entry.revision;
    }
    lease.revision = revision;
    lease.renewal += 1;
    lease.validUntilMs = atMs + LEASE_MS - LEASE_MARGIN_MS;
    return true;
  }

  private value(renewal: number): string {
    const { host, instanceId } = this.ports;
    return JSON.stringify({ leader: host.incarnation, instanceId, renewal });
  }

  private isReplaced(value: string): boolean {
    const parsed = admissionLease.safeParse(JSON.parse(value));
    const { host, instanceId } = this.ports;
    return parsed.success && parsed.data.instanceId === instanceId && parsed.data.leader !== host.incarnation;
  }

  private isOwn(value: string): boolean {
    const parsed = admissionLease.safeParse(JSON.parse(value));
    return parsed.success && parsed.data.leader === this.ports.host.incarnation;
  }
}
