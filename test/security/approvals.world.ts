import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ApprovalsClient, GatewayClient, ROOT, signerDirOf, type Fact, type RunView } from '@perdure/cli';
import { signedText, type Bus, type SigningKey } from '@perdure/kernel';
import { connectBus, type BusConnection } from '@perdure/platform-bus-jetstream';
import { signingKeyOf, systemHost } from '@perdure/platform-host-node';
import { attested, requestSubject, runAddress, type Answer, type Vote, type VoteStatement } from '@perdure/run-contract';
import { readBook } from '../rig/book';
import { openRig, type OpenRig } from '../rig/fresh-stack';

const ENTRY = join(ROOT, 'dist/test/security/entries/payments.js');
export const TENANT = 'default';
const REQUEST_TIMEOUT_MS = 5_000;
const END_MAX_MS = 30_000;

export interface Refused {
  readonly code: string;
}

/** A real stack with policies and approvers, and an attacker who has the login of a worker at the broker. */
export class SecurityWorld {
  readonly http: GatewayClient;
  readonly approvals: ApprovalsClient;
  readonly host = systemHost({ service: 'attacker', write: () => undefined });
  readonly secrets = new Map<string, string>();
  /** Whoever has stolen it; no attacker has. */
  readonly stolenKey: SigningKey;

  private constructor(
    readonly rig: OpenRig,
    private readonly attacker: BusConnection,
  ) {
    this.http = new GatewayClient(rig.stack.gatewayUrl);
    this.approvals = new ApprovalsClient(this.http);
    this.stolenKey = signingKeyOf(readFileSync(join(signerDirOf(rig.stack.dataDir), 'signer.key')));
  }

  static async open(): Promise<SecurityWorld> {
    const rig = await openRig((folder) => ({
      form: 'dev',
      entry: ENTRY,
      workers: 1,
      workerEnv: { PERDURE_SECURITY_BOOK: join(folder, 'book.jsonl') },
    }));
    const { natsUrl: url, brokerUsers } = rig.stack;
    const host = systemHost({ service: 'attacker', write: () => undefined });
    const attacker = await connectBus({ url, name: 'attacker', ...brokerUsers.worker, use: 'core', host });
    const world = new SecurityWorld(rig, attacker);
    await world.enrollAll();
    return world;
  }

  async close(): Promise<void> {
    await this.attacker.close();
    await this.rig.close();
  }

  get bus(): Bus {
    return this.attacker.bus;
  }

  get administrator(): { readonly secret: string; readonly by: string } {
    const file = join(signerDirOf(this.rig.stack.dataDir), 'administrator.secret');
    return { secret: readFileSync(file, 'utf8').trim(), by: 'root' };
  }

  private async enrollAll(): Promise<void> {
    const who = this.administrator;
    await this.setPolicy(2);
    await this.approvals.setPolicy({ name: 'tips', tools: ['tip'], roles: ['finance'], expiresAfterMs: 1_500 }, who);
    for (const [id, role] of [
      ['grace', 'finance'],
      ['edsger', 'finance'],
      ['ada', 'finance'],
      ['rob', 'finance'],
      ['vera', 'viewer'],
    ] as const)
      this.secrets.set(id, (await this.approvals.enroll({ id, roles: [role] }, who)).secret ?? '');
    await this.approvals.revoke('rob', who);
  }

  async setPolicy(quorum: number): Promise<void> {
    const when = [{ path: 'amount', op: 'gt', value: 1_000 }];
    const policy = { name: 'large', tools: ['pay'], when, roles: ['finance'], quorum };
    await this.approvals.setPolicy(policy, this.administrator);
  }

  /** A run that waits for an approval: its id. */
  async waiting(amount = 5_000): Promise<string> {
    const { runId } = await this.http.start({ name: 'payer', input: { to: 'bob', amount }, by: 'ada' });
    await this.until(runId, 'RunSuspended');
    return runId;
  }

  async until(runId: string, type: string): Promise<Fact> {
    for await (const fact of this.http.follow(runId)) if (fact.type === type) return fact;
    throw new Error(`${runId} ended without ${type}`);
  }

  async factsOf(runId: string, type?: string): Promise<readonly Fact[]> {
    const { facts } = await this.http.events(runId, { limit: 1_000 });
    return facts.filter((fact) => type === undefined || fact.type === type);
  }

  /** Codes of what was refused, as the log of the run tells it. */
  async refusals(runId: string): Promise<readonly unknown[]> {
    return (await this.factsOf(runId, 'ApprovalRefused')).map(({ data }) => data.code);
  }

  decide(runId: string, who: string, call = 't1.0'): Promise<unknown> {
    const secret = this.secrets.get(who) ?? 'none';
    return this.approvals.decide('approve', { runId, call }, { approver: who, secret });
  }

  ended(runId: string): Promise<RunView> {
    return this.http.result(runId, END_MAX_MS);
  }

  paid(runId: string): readonly { readonly key: string }[] {
    const lines = readBook(join(this.rig.folder, 'book.jsonl')) as unknown as readonly { readonly key: string }[];
    return lines.filter(({ key }) => key.includes(`/${runId}/`));
  }

  /** As it would look if the signer had signed it. */
  async voteFor(runId: string, data: Partial<VoteStatement> = {}, key = this.stolenKey): Promise<Vote> {
    const [requested] = await this.factsOf(runId, 'ApprovalRequested');
    const { call, tool, toolVersion, argsHash, shownHash, policy, policyVersion, quorum, expiresAtMs } =
      requested?.data as unknown as VoteStatement;
    const statement: VoteStatement = {
      v: 1,
      id: this.host.entropy.uuid(),
      tenant: TENANT,
      runId,
      branch: 0,
      call,
      tool,
      toolVersion,
      argsHash,
      shownHash,
      policy,
      policyVersion,
      quorum,
      expiresAtMs,
      approver: 'grace',
      role: 'finance',
      decision: 'approve',
      votedAtMs: this.host.clock.nowMs(),
      ...data,
    };
    return { statement, signature: key.sign(signedText('vote', attested({ statement }))) };
  }

  /** Written by hand, under the login of a worker. */
  async send(runId: string, command: object, actor: object = { kind: 'service', id: 'signer' }): Promise<Answer> {
    const subject = requestSubject.build(runAddress(TENANT, runId));
    const envelope = { v: 1, id: this.host.entropy.uuid(), actor, command };
    return JSON.parse(await this.bus.request(subject, JSON.stringify(envelope), { timeoutMs: REQUEST_TIMEOUT_MS })) as Answer;
  }

  record(runId: string, vote: Vote, more: object = {}): Promise<Answer> {
    return this.send(runId, { type: 'RecordVote', call: vote.statement.call, vote, ...more });
  }
}
