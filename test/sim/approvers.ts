import { canonicalJson, signedText, token, type Bus } from '@perdure/kernel';
import { signingKeyOf } from '@perdure/platform-host-node';
import {
  attested,
  requestSubject,
  runAddress,
  runStream,
  type Answer,
  type RunEventOf,
  type VoteStatement,
} from '@perdure/run-contract';
import { approvalPolicy, tenantRequestSubject } from '@perdure/tenant-contract';
import type { SeededRandom, SimProcess } from '@perdure/testing';
import type { LogView } from './log-view';
import { TENANT } from './roles';
import { SIGNER } from './signer';

/** Uses of these tools with a larger value than this need the agreement of two. */
export const APPROVED_TOOLS: readonly string[] = ['charge', 'wire'];
export const APPROVED_ABOVE = 60;
const PERSONS = ['grace', 'edsger', 'alan'] as const;
const POLICY = approvalPolicy.parse({
  name: 'large',
  tools: APPROVED_TOOLS,
  when: [{ path: 'value', op: 'gt', value: APPROVED_ABOVE }],
  roles: ['finance'],
  quorum: 2,
});
const FORGER = signingKeyOf(Buffer.alloc(32, 8));
const LOOK_EVERY_MS = 300;
const REQUEST_TIMEOUT_MS = 1_500;
const PAUSE_MS = 100;

type Requested = RunEventOf<'ApprovalRequested'>['data'];

/** Persons who agree to everything that they are asked, with the signer's signature; and one who has another key. */
export class Approvers {
  private readonly voted = new Set<string>();

  constructor(
    private readonly ports: { readonly process: SimProcess; readonly bus: Bus; readonly log: LogView },
    private readonly random: SeededRandom,
  ) {}

  begin(runIds: readonly string[]): void {
    void this.setPolicy();
    this.lookLater(runIds);
  }

  private async setPolicy(): Promise<void> {
    const change = { type: 'ApprovalPolicySet', policy: POLICY };
    const statement = { v: 1, tenant: TENANT, after: -1, by: 'root', atMs: 0, change };
    const signed = { statement, signature: SIGNER.sign(signedText('change', statement)) };
    const answer = await this.ask(tenantRequestSubject.build(token(TENANT, 'tenant')), { type: 'ChangeApprovals', signed });
    if (!answer.ok) this.ports.process.simulation.violate('I1', `a policy was refused: ${answer.error.code}`);
  }

  private lookLater(runIds: readonly string[]): void {
    this.ports.process.schedule(LOOK_EVERY_MS, 'looks for approvals', () => {
      for (const runId of runIds) this.look(runId);
      this.lookLater(runIds);
    });
  }

  private look(runId: string): void {
    const facts = this.ports.log.of(runStream.build(runAddress(TENANT, runId)));
    for (const { type, data } of facts) {
      const { call, branch = 0 } = data as Requested;
      const asked = `${runId} ${branch} ${call}`;
      if (type !== 'ApprovalRequested' || this.voted.has(asked)) continue;
      this.voted.add(asked);
      if (this.random.chance(0.3)) void this.vote(runId, data as Requested, { approver: 'eve', key: FORGER });
      const first = this.random.integer(0, PERSONS.length - 1);
      for (const offset of [0, 1])
        void this.vote(runId, data as Requested, {
          approver: PERSONS[(first + offset) % PERSONS.length] ?? 'grace',
          key: SIGNER,
        });
    }
  }

  private async vote(
    runId: string,
    asked: Requested,
    by: { readonly approver: string; readonly key: typeof SIGNER },
  ): Promise<void> {
    const { process } = this.ports;
    const { call, branch = 0, tool, toolVersion, argsHash, shownHash, policy, policyVersion, quorum, expiresAtMs } = asked;
    const request = { call, tool, toolVersion, argsHash, shownHash, policy, policyVersion, quorum, expiresAtMs };
    const votedAtMs = Math.round(process.clock.nowMs());
    const statement: VoteStatement = {
      v: 1,
      id: process.entropy.uuid(),
      tenant: TENANT,
      runId,
      branch,
      ...request,
      approver: by.approver,
      role: 'finance',
      decision: 'approve',
      votedAtMs,
    };
    const vote = { statement, signature: by.key.sign(signedText('vote', attested({ statement }))) };
    const subject = requestSubject.build(runAddress(TENANT, runId));
    const answer = await this.ask(subject, { type: 'RecordVote', call, vote });
    const isForged = by.key === FORGER;
    if (answer.ok && isForged) process.simulation.violate('I9', `${runId}: a vote that the signer has not signed was accepted`);
    if (!answer.ok && !isForged && !this.mayBeRefused(runId, answer.error.code))
      process.simulation.violate('I1', `${runId}: a vote was refused: ${canonicalJson(answer.error)}`);
  }

  /** The run may have ended meanwhile, or gone back to before it was asked. */
  private mayBeRefused(runId: string, code: string): boolean {
    if (code !== 'OtherRequest' && code !== 'ApprovalClosed') return code === 'RunAlreadyEnded' || code === 'NoSuchApproval';
    return this.ports.log.of(runStream.build(runAddress(TENANT, runId))).some(({ type }) => type === 'RunRewound');
  }

  /** The identical envelope until it is answered for good. */
  private async ask(subject: string, command: object): Promise<Answer> {
    const { process, bus } = this.ports;
    const envelope = JSON.stringify({ v: 1, id: process.entropy.uuid(), actor: { kind: 'service', id: 'signer' }, command });
    for (;;) {
      try {
        const answer = JSON.parse(await bus.request(subject, envelope, { timeoutMs: REQUEST_TIMEOUT_MS })) as Answer;
        if (answer.ok || answer.error.reaction !== 'retryable') return answer;
      } catch {
        // Nobody answered: that is what the loop is for.
      }
      await new Promise<void>((resolve) => void process.timers.after(PAUSE_MS, resolve));
    }
  }
}
