import { changeAnswer, signerSubject, type ChangeAnswer, type Decide, type SignerRequest } from '@perdure/approval-contract';
import { token, type Bus, type Host } from '@perdure/kernel';
import type { ApprovalChange } from '@perdure/tenant-contract';
import { askUntilAnswered } from './run-requests';

/** The signer reads the log, and then waits for an owner. */
const SIGNER_TIMEOUT_MS = 5_000;

/** Passes to the signer what persons say; what they identify themselves with is kept nowhere on the way. */
export class SignerRequests {
  constructor(
    private readonly bus: Bus,
    private readonly host: Host,
  ) {}

  async decide(tenant: string, decision: Omit<Decide, 'type'>): Promise<void> {
    await this.ask(tenant, { type: 'Decide', ...decision });
  }

  async change(
    tenant: string,
    change: ApprovalChange,
    { secret, by }: { readonly secret: string; readonly by: string },
  ): Promise<ChangeAnswer> {
    return changeAnswer.parse(await this.ask(tenant, { type: 'Change', secret, by, change }));
  }

  private ask(tenant: string, command: SignerRequest['command']): Promise<unknown> {
    const request: SignerRequest = { v: 1, id: this.host.entropy.uuid(), command };
    return askUntilAnswered(this.bus, this.host, {
      subject: signerSubject.build(token(tenant, 'tenant')),
      payload: JSON.stringify(request),
      timeoutMs: SIGNER_TIMEOUT_MS,
    });
  }
}
