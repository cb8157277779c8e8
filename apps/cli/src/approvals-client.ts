import type { Approval, ApprovalLine } from '@perdure/approval-contract';
import type { GatewayClient } from './gateway-client';

export interface Approver {
  readonly id: string;
  readonly roles: readonly string[];
  readonly publicKey?: string;
}

/** By a secret, or by a signature over the ballot. */
export interface Decision {
  readonly approver: string;
  readonly secret?: string;
  readonly signature?: string;
  /** Of what was shown. */
  readonly shownHash?: string;
  readonly reason?: string;
  readonly args?: unknown;
}

export interface Administered {
  readonly secret: string;
  readonly by: string;
}

export interface Changed {
  readonly revision: number;
  readonly secret?: string;
}

const part = encodeURIComponent;

/** What the gateway offers about approvals. */
export class ApprovalsClient {
  constructor(private readonly http: GatewayClient) {}

  list(query: {
    readonly status?: string;
    readonly role?: string;
    readonly limit?: number;
  }): Promise<{ readonly complete: boolean; readonly approvals: readonly ApprovalLine[] }> {
    return this.http.ask('GET', '/v1/approvals', query);
  }

  get(runId: string, call: string): Promise<Approval> {
    return this.http.ask('GET', `/v1/approvals/${part(runId)}/${part(call)}`);
  }

  decide(verb: 'approve' | 'deny' | 'edit', of: { runId: string; call: string }, decision: Decision): Promise<unknown> {
    return this.http.post(`/v1/approvals/${part(of.runId)}/${part(of.call)}/${verb}`, decision);
  }

  policies(): Promise<{
    readonly policies: readonly { readonly version: number; readonly policy: Readonly<Record<string, unknown>> }[];
  }> {
    return this.http.ask('GET', '/v1/approval-policies');
  }

  setPolicy(policy: unknown, who: Administered): Promise<Changed> {
    return this.http.post('/v1/approval-policies', { ...who, policy });
  }

  removePolicy(name: string, who: Administered): Promise<Changed> {
    return this.http.post(`/v1/approval-policies/${part(name)}/remove`, who);
  }

  approvers(): Promise<{ readonly approvers: readonly Approver[] }> {
    return this.http.ask('GET', '/v1/approvers');
  }

  enroll(approver: Approver, who: Administered): Promise<Changed> {
    return this.http.post('/v1/approvers', { ...who, approver });
  }

  revoke(id: string, who: Administered): Promise<Changed> {
    return this.http.post(`/v1/approvers/${part(id)}/revoke`, who);
  }
}
