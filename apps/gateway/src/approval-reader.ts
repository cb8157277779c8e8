import type { Approval, ApprovalLine } from '@perdure/approval-contract';
import { Retryable, Terminal } from '@perdure/kernel';
import type { RunAddress } from '@perdure/run-contract';
import type { ApprovalInbox, InboxQuery } from './approval-inbox';
import type { FactReader } from './fact-stream';

const INCOMPLETE_RETRY_MS = 200;

/** What waits for persons, by whatever way it is asked for. */
export class ApprovalReader {
  constructor(
    private readonly inbox: ApprovalInbox,
    private readonly facts: Pick<FactReader, 'page'>,
  ) {}

  get isComplete(): boolean {
    return this.inbox.isComplete;
  }

  list(query: InboxQuery): readonly ApprovalLine[] {
    return this.inbox.list(query);
  }

  /** @throws Retryable `InboxIncomplete`: what there is of it is not the list of what waits */
  complete(): this {
    if (this.isComplete) return this;
    throw new Retryable('InboxIncomplete', 'The gateway is still reading the log after its start. Ask again.', {
      retryAfterMs: INCOMPLETE_RETRY_MS,
    });
  }

  /** @throws Terminal `NoSuchApproval`; Retryable `InboxIncomplete` */
  async get(address: RunAddress, call: string): Promise<Approval> {
    const line = this.inbox.find({ ...address, call }) ?? this.complete().inbox.find({ ...address, call });
    if (line === undefined)
      throw new Terminal('NoSuchApproval', `Nobody is asked to approve ${call} of the run ${address.runId}. See /v1/approvals.`);
    return { ...line, args: await this.argsOf(address, line) };
  }

  /** The intention stands before the request, in the same append. */
  private async argsOf(address: RunAddress, line: Pick<ApprovalLine, 'requestRevision' | 'call'>): Promise<unknown> {
    const { facts } = await this.facts.page(address, { from: line.requestRevision - 1, limit: 1 });
    const { call, args } = (facts[0]?.data ?? {}) as { readonly call?: string; readonly args?: unknown };
    return call === line.call ? (args ?? null) : null;
  }
}
