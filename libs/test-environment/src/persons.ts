import { canonicalJson, signedText, Terminal, type EventStore, type Token } from '@perdure/kernel';
import {
  attested,
  requestSubject,
  runAddress,
  runStream,
  type Answer,
  type RunEventOf,
  type VoteStatement,
} from '@perdure/run-contract';
import { tenantRequestSubject } from '@perdure/tenant-contract';
import type { Place, Premises } from './premises';

/** What a person says to an effect of a run that waits for agreement. */
export interface Decision {
  /** Which of its effects; by default the one that it asked about last. */
  readonly call?: string;
  /** Who says so; the same person counts once. */
  readonly by?: string;
  readonly reason?: string;
}

type Requested = RunEventOf<'ApprovalRequested'>['data'];

const PERSON = 'tester';
const FACTS_PAGE = 10_000;
const REQUEST_TIMEOUT_MS = 5_000;

/**
 * The persons of an environment, and the signer that vouches for them: everybody is enrolled for everything. Who may decide is a matter
 * of the signer, and not of the code under test.
 */
export class Persons {
  private readonly place: Place;
  /** Revision of the last change of who may decide. */
  private changes = -1;

  constructor(
    private readonly premises: Premises,
    private readonly tenant: Token,
  ) {
    this.place = premises.place('signer');
  }

  /** @throws Terminal `NoSuchApproval` when the run has not asked */
  async decide(runId: string, decision: VoteStatement['decision'], { call, by = PERSON, reason }: Decision): Promise<void> {
    const asked = await this.asked(this.place.store, runId, call);
    const statement = this.statement(runId, asked, { decision, by });
    const signature = this.premises.signer.sign(signedText('vote', attested({ statement })));
    const command = {
      type: 'RecordVote',
      call: asked.call,
      vote: { statement, signature },
      ...(reason === undefined ? {} : { reason }),
    };
    await this.send(requestSubject.build(runAddress(this.tenant, runId)), command);
  }

  /** From now on what a run asks a role is asked of this person, too. */
  async enroll(id: string, roles: readonly string[]): Promise<void> {
    const atMs = Math.round(this.place.host.clock.nowMs());
    const change = { type: 'ApproverEnrolled', approver: { id, roles } };
    const statement = { v: 1, tenant: this.tenant, after: this.changes, by: PERSON, atMs, change };
    const signature = this.premises.signer.sign(signedText('change', statement));
    const command = { type: 'ChangeApprovals', signed: { statement, signature } };
    const changed = (await this.send(tenantRequestSubject.build(this.tenant), command)) as { readonly revision: number };
    this.changes = changed.revision;
  }

  private async send(subject: string, command: object): Promise<unknown> {
    const { host, connection } = this.place;
    const payload = JSON.stringify({ v: 1, id: host.entropy.uuid(), actor: { kind: 'service', id: 'signer' }, command });
    const answer = JSON.parse(await connection.bus.request(subject, payload, { timeoutMs: REQUEST_TIMEOUT_MS })) as Answer;
    if (answer.ok) return answer.value;
    throw new Terminal(answer.error.code, `${answer.error.message} ${canonicalJson(answer.error.details ?? {})}`);
  }

  private statement(
    runId: string,
    asked: Requested,
    { decision, by }: { readonly decision: VoteStatement['decision']; readonly by: string },
  ): VoteStatement {
    const { call, branch = 0, tool, toolVersion, argsHash, shownHash, policy, policyVersion, roles, quorum, expiresAtMs } = asked;
    const { clock, entropy } = this.place.host;
    return {
      v: 1,
      id: entropy.uuid(),
      tenant: this.tenant,
      runId,
      branch,
      ...{ call, tool, toolVersion, argsHash, shownHash, policy, policyVersion, quorum, expiresAtMs },
      approver: by,
      role: roles[0] ?? 'approver',
      decision,
      votedAtMs: Math.round(clock.nowMs()),
    };
  }

  private async asked(store: EventStore, runId: string, call: string | undefined): Promise<Requested> {
    const stream = runStream.build(runAddress(this.tenant, runId));
    const facts = await store.read(stream, { direction: 'backward', from: 'end', limit: FACTS_PAGE });
    const found = facts.find(
      ({ type, data }) => type === 'ApprovalRequested' && [undefined, (data as Requested).call].includes(call),
    );
    if (found !== undefined) return found.data as Requested;
    throw new Terminal(
      'NoSuchApproval',
      `The run ${runId} has not asked for agreement${call === undefined ? '' : ` to ${call}`}.`,
    );
  }
}
