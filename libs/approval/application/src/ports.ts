import type { Bus, Host, Signatures, SigningKey } from '@perdure/kernel';
import type { RequestedApproval } from '@perdure/approval-domain';
import type { RunAddress } from '@perdure/run-contract';
import type { TenantApprovals } from '@perdure/tenant-contract';

/** Reads runs in the log itself: the signer takes nobody's word for them. */
export interface RunFacts {
  /** Undefined when there is no such run; `approval` is absent when nobody is asked about the call. */
  find(address: RunAddress, call: string): Promise<{ readonly approval?: RequestedApproval } | undefined>;
}

/** Policies and approvers, as the log has them now. */
export interface TenantApprovalFacts {
  newest(tenant: string): Promise<TenantApprovals>;
}

/** What approvers without a key identify themselves with: known by its hash alone, and nowhere but here. */
export interface ApproverSecrets {
  /** @returns the secret, which is told once */
  issue(tenant: string, approver: string): Promise<string>;
  forget(tenant: string, approver: string): Promise<void>;
  holds(tenant: string, approver: string, secret: string): boolean;
  isAdministrator(secret: string): boolean;
}

/** Whether arguments fit the input of a tool. */
export interface ArgumentCheck {
  /** What is wrong, one line an issue; undefined when no build is known whose tool has that version. */
  issues(
    tenant: string,
    tool: { readonly name: string; readonly version: string },
    args: unknown,
  ): Promise<readonly string[] | undefined>;
}

export interface SignerPorts {
  readonly bus: Bus;
  readonly host: Host;
  readonly key: SigningKey;
  readonly signatures: Signatures;
  readonly runs: RunFacts;
  readonly approvals: TenantApprovalFacts;
  readonly secrets: ApproverSecrets;
  readonly tools: ArgumentCheck;
}
