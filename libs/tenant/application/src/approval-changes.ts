import { canonicalJson, Retryable, Terminal, token, type EventStore, type Host } from '@perdure/kernel';
import { tenantStream, type SignedChange } from '@perdure/tenant-contract';
import type { ApprovalBook } from './approval-book';

const ATTEMPTS_MAX = 20;

/** Appends the changes of policies and approvers that the signer has signed; nobody else can make one. */
export class ApprovalChanges {
  constructor(
    private readonly ports: { readonly store: EventStore; readonly host: Pick<Host, 'entropy'>; readonly book: ApprovalBook },
  ) {}

  /** @throws Terminal `BadSignature`; Retryable `ApprovalsChanged` when another change was first */
  async append(tenant: string, signed: SignedChange): Promise<{ readonly revision: number }> {
    const { book, store, host } = this.ports;
    if (!book.isAuthentic(tenant, signed)) throw notSigned();
    const stream = tenantStream.build(token(tenant, 'tenant'));
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const { revision } = await book.newest(tenant);
      if (revision !== signed.statement.after) return this.repeated(tenant, { signed, revision });
      const read = book.revisionOf(tenant);
      const event = { id: host.entropy.uuid(), type: signed.statement.change.type, data: signed };
      const result = await store.append(stream, read < 0 ? 'no-stream' : read, [
        { ...event, metadata: { schemaVersion: 1, tenant } },
      ]);
      if (result.outcome === 'appended') return { revision: (await book.newest(tenant)).revision };
    }
    throw new Retryable('ApprovalsChanged', 'Too many changes at once for this tenant. Make the change again.');
  }

  /** Whoever did not hear that its change was made sends it again. */
  private async repeated(tenant: string, { signed, revision }: { signed: SignedChange; revision: number }) {
    const stream = tenantStream.build(token(tenant, 'tenant'));
    const [last] = revision < 0 ? [] : await this.ports.store.read(stream, { direction: 'forward', from: revision, limit: 1 });
    if (last !== undefined && canonicalJson(last.data) === canonicalJson(signed)) return { revision };
    throw new Retryable(
      'ApprovalsChanged',
      'Policies or approvers have changed meanwhile. Look at them, then make the change again.',
    );
  }
}

function notSigned(): Terminal {
  return new Terminal(
    'BadSignature',
    'Policies and approvers are changed through the signer: this change does not carry its signature.',
  );
}
