import {
  approval as approvalSchema,
  approvalLine,
  inboxSubject,
  signerSubject,
  type Approval,
  type ApprovalLine,
  type ApprovalStatus,
  type Decide,
  type InboxRequestInput,
  type SignerRequest,
} from '@perdure/approval-contract';
import { canonicalJson, shownOf, signedText, token, type Bus, type Host, type Token } from '@perdure/kernel';
import { signingKeyOf } from '@perdure/platform-host-node';
import { ballotOf } from '@perdure/run-contract';
import { ask } from './engine/ask';
import { serialise } from './engine/outcome';

/** Signs with the key that is enrolled: Ed25519, as base64. It may live in a file, a token or a service. */
export interface BallotKey {
  sign(text: string): string | Promise<string>;
}

/** Who decides, and what shows that: the secret that was told at the enrolment, or a key of its own. */
export type Identified = { readonly approver: string } & ({ readonly secret: string } | { readonly key: BallotKey });

export type Agreement = Identified & {
  readonly reason?: string;
  /** Executed in the place of those that were intended. */
  readonly args?: unknown;
};

export type Denial = Identified & { readonly reason?: string };

export interface ApprovalsWanted {
  /** By default `open`: those that wait. */
  readonly status?: ApprovalStatus | 'all';
  /** Only what this role may decide on. */
  readonly role?: string;
  readonly limit?: number;
}

export interface ApprovalsOptions {
  readonly tenant: Token;
  /** How long a request is repeated while nobody answers. */
  readonly patienceMs: number;
}

const INBOX_TIMEOUT_MS = 2_000;
/** The signer reads the log, and then waits for an owner. */
const SIGNER_TIMEOUT_MS = 5_000;

/**
 * Effects that wait for the agreement of persons, and what these persons say.
 *
 * What is decided on is what `get` has told, to the letter: its hash goes along, so that the signer refuses a decision on anything
 * else, whoever has made it up on the way.
 */
export class Approvals {
  constructor(
    private readonly ports: { readonly bus: Bus; readonly host: Host },
    private readonly options: ApprovalsOptions,
  ) {}

  /** Those that have waited for longest first. @throws Retryable `InboxIncomplete` while a gateway reads the log after its start */
  async list({ status = 'open', role, limit }: ApprovalsWanted = {}): Promise<readonly ApprovalLine[]> {
    const command = {
      type: 'ListApprovals' as const,
      ...(status === 'all' ? {} : { status }),
      ...(role === undefined ? {} : { role }),
      ...(limit === undefined ? {} : { limit }),
    };
    return approvalLine.array().parse(await this.inbox(command));
  }

  /** With its arguments. @throws Terminal `NoSuchApproval` */
  async get(runId: string, call: string): Promise<Approval> {
    return approvalSchema.parse(await this.inbox({ type: 'GetApproval', runId: token(runId, 'run id'), call }));
  }

  /**
   * Agrees to the effect as it is intended, or with other arguments. It begins when as many as its policy asks for have agreed on the
   * same arguments.
   * @throws Terminal `NotIdentified`, `UnknownApprover`, `WrongRole`, `SelfApproval`, `DuplicateVote`, `OtherRequest`,
   *   `ApprovalClosed`, `ApprovalExpired`, `InvalidInput` for arguments that do not fit the tool
   */
  async approve(approval: Approval, agreement: Agreement): Promise<void> {
    const args = 'args' in agreement ? { args: serialise(agreement.args, 'The arguments').value } : {};
    await this.decide(approval, agreement, { decision: 'approve', ...args });
  }

  /** One who denies is enough: the effect fails with `ApprovalDenied`, and the agent is told the reason. @throws as `approve` */
  async deny(approval: Approval, denial: Denial): Promise<void> {
    await this.decide(approval, denial, { decision: 'deny' });
  }

  private async decide(
    approval: Approval,
    who: Identified & { readonly reason?: string },
    said: Pick<Decide, 'decision' | 'args'>,
  ): Promise<void> {
    const { approver, reason } = who;
    const { runId, call } = approval;
    const shownHash = this.hash(shownOf({ ...approval, why: approval.policy }));
    const command: Decide = {
      type: 'Decide',
      runId,
      call,
      approver,
      shownHash,
      ...said,
      ...(reason === undefined ? {} : { reason }),
      ...('key' in who ? { signature: await this.ballot(approval, { shownHash, ...who, ...said }) } : { secret: who.secret }),
    };
    const request: SignerRequest = { v: 1, id: this.ports.host.entropy.uuid(), command };
    await this.ask(signerSubject.build(this.options.tenant), request, SIGNER_TIMEOUT_MS);
  }

  private async ballot(
    approval: Approval,
    said: Pick<Decide, 'decision' | 'args' | 'approver'> & { readonly shownHash: string; readonly key: BallotKey },
  ): Promise<string> {
    const argsHash = this.hash('args' in said ? said.args : approval.args);
    const { decision, approver, shownHash, key } = said;
    return key.sign(signedText('ballot', ballotOf({ ...approval, argsHash, shownHash, decision, approver })));
  }

  private hash(value: unknown): string {
    return this.ports.host.digest.sha256(canonicalJson(value));
  }

  private inbox(command: InboxRequestInput['command']): Promise<unknown> {
    return this.ask(inboxSubject.build(this.options.tenant), { v: 1, command }, INBOX_TIMEOUT_MS);
  }

  private ask(subject: string, request: object, timeoutMs: number): Promise<unknown> {
    const untilMs = this.ports.host.clock.monotonicMs() + this.options.patienceMs;
    return ask(this.ports, { subject, payload: JSON.stringify(request), timeoutMs, untilMs });
  }
}

/**
 * The key in a file as `perdure approvers enroll --key FILE` makes it.
 * @throws Terminal `InvalidKey`
 */
export function approverKey(text: string): BallotKey & { readonly publicKey: string } {
  return signingKeyOf(Buffer.from(text.trim(), 'base64'));
}
