import { signedText, token, type EventStore, type Host, type Signatures } from '@perdure/kernel';
import {
  APPROVAL_EVENT_TYPES,
  NO_APPROVALS,
  POLICY_IN_FORCE_MS,
  signedChange,
  tenantStream,
  type SignedChange,
  type TenantApprovals,
} from '@perdure/tenant-contract';

/**
 * Policies and approvers by tenant, from the log.
 *
 * 1. A change counts only if the signer has signed it, for this tenant, and after the change that it names: whatever else
 *    somebody has appended is passed over.
 * 2. What is looked up is never older than POLICY_IN_FORCE_MS: so long after it was set a policy is in force everywhere.
 */

const PAGE = 200;

export interface ApprovalBookPorts {
  readonly store: Pick<EventStore, 'read'>;
  readonly host: Pick<Host, 'clock' | 'log'>;
  readonly signatures: Signatures;
  /** Public key of the signer; without one nothing that the log says of approvals is believed. */
  readonly signerKey: string | undefined;
}

interface Known {
  /** Of the last fact read, whatever it was. */
  read: number;
  readAtMs: number;
  approvals: TenantApprovals;
  reading: Promise<void> | undefined;
}

export class ApprovalBook {
  private readonly tenants = new Map<string, Known>();

  constructor(private readonly ports: ApprovalBookPorts) {}

  /** What is known, if that is young enough. */
  recent(tenant: string): TenantApprovals | undefined {
    const known = this.tenants.get(tenant);
    if (known === undefined || this.ports.host.clock.monotonicMs() - known.readAtMs > POLICY_IN_FORCE_MS) return undefined;
    return known.approvals;
  }

  /** Whatever was in the log POLICY_IN_FORCE_MS ago, or later. @throws StoreUnavailable */
  async of(tenant: string): Promise<TenantApprovals> {
    const known = this.known(tenant);
    const atMs = this.ports.host.clock.monotonicMs() - POLICY_IN_FORCE_MS;
    while (known.readAtMs < atMs) await this.read(tenant, known);
    return known.approvals;
  }

  /** Whatever is in the log by now. @throws StoreUnavailable */
  async newest(tenant: string): Promise<TenantApprovals> {
    const known = this.known(tenant);
    // A read that has begun does not know of what was appended since.
    await known.reading?.catch(() => undefined);
    await this.read(tenant, known);
    return known.approvals;
  }

  /** Those who wait for a read share it. */
  private read(tenant: string, known: Known): Promise<void> {
    known.reading ??= this.readNew(tenant, known).finally(() => (known.reading = undefined));
    return known.reading;
  }

  /** Of the last fact in the stream as it was read. */
  revisionOf(tenant: string): number {
    return this.known(tenant).read;
  }

  /** Whether it is a change of this tenant by the signer. */
  isAuthentic(tenant: string, { statement, signature }: SignedChange): boolean {
    const { signerKey, signatures } = this.ports;
    if (signerKey === undefined || statement.tenant !== tenant) return false;
    return signatures.verify(signerKey, signedText('change', statement), signature);
  }

  private async readNew(tenant: string, known: Known): Promise<void> {
    const stream = tenantStream.build(token(tenant, 'tenant'));
    const startedAtMs = this.ports.host.clock.monotonicMs();
    for (;;) {
      const page = await this.ports.store.read(stream, { direction: 'forward', from: known.read + 1, limit: PAGE });
      for (const { type, data, revision } of page) {
        known.read = revision;
        if ((APPROVAL_EVENT_TYPES as readonly string[]).includes(type))
          known.approvals = this.apply(tenant, known.approvals, { data, revision });
      }
      if (page.length < PAGE) break;
    }
    known.readAtMs = startedAtMs;
  }

  private apply(tenant: string, before: TenantApprovals, fact: { data: unknown; revision: number }): TenantApprovals {
    const parsed = signedChange.safeParse(fact.data);
    const isNext = parsed.success && parsed.data.statement.after === before.revision;
    if (isNext && this.isAuthentic(tenant, parsed.data)) return applied(before, parsed.data, fact.revision);
    this.ports.host.log.error('a change of approvals that the signer did not make is passed over', {
      tenant,
      revision: fact.revision,
    });
    return before;
  }

  private known(tenant: string): Known {
    let known = this.tenants.get(tenant);
    if (known === undefined) {
      known = { read: -1, readAtMs: Number.NEGATIVE_INFINITY, approvals: NO_APPROVALS, reading: undefined };
      this.tenants.set(tenant, known);
    }
    return known;
  }
}

function applied(before: TenantApprovals, { statement: { change } }: SignedChange, revision: number): TenantApprovals {
  const policies = new Map(before.policies);
  const versions = new Map(before.versions);
  const approvers = new Map(before.approvers);
  switch (change.type) {
    case 'ApprovalPolicySet':
      policies.set(change.policy.name, { policy: change.policy, version: revision });
      versions.set(revision, change.policy);
      break;
    case 'ApprovalPolicyRemoved':
      policies.delete(change.name);
      break;
    case 'ApproverEnrolled':
      approvers.set(change.approver.id, change.approver);
      break;
    case 'ApproverRevoked':
      approvers.delete(change.id);
  }
  return { revision, policies, versions, approvers };
}
