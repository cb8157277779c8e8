import { judgeDecision, type RequestedApproval } from '@perdure/approval-domain';
import type { Decide } from '@perdure/approval-contract';
import { canonicalJson, isToken, PerdureError, signedText, Terminal } from '@perdure/kernel';
import {
  answer,
  attested,
  ballotOf,
  requestSubject,
  runAddress,
  type CommandEnvelopeInput,
  type RunAddress,
  type Vote,
  type VoteStatement,
} from '@perdure/run-contract';
import type { Approver } from '@perdure/tenant-contract';
import type { SignerPorts } from './ports';

/** The owner answers after one append; whoever asked repeats the request with the same id. */
const OWNER_TIMEOUT_MS = 2_000;
const ISSUES_SHOWN = 5;

interface Asked {
  readonly tenant: string;
  /** Of the request: also that of the vote and of the command, so that a repeat is recognised all the way. */
  readonly id: string;
  readonly command: Decide;
}

/** @throws Terminal why it is not signed, or what the owner of the run says; Retryable when the owner does not answer */
export async function decide(ports: SignerPorts, asked: Asked): Promise<unknown> {
  const { tenant, command } = asked;
  if (!isToken(command.runId)) throw noSuchApproval(command);
  const address = runAddress(tenant, command.runId);
  const found = await ports.runs.find(address, command.call);
  if (found === undefined) throw noSuchApproval(command);
  try {
    const { approval } = found;
    if (approval === undefined) throw noSuchApproval(command);
    const signed = await signedVote(ports, asked, approval);
    return await tell(ports, address, { id: asked.id, command: signed });
  } catch (thrown) {
    if (thrown instanceof Refused) await tellRefusal(ports, address, { asked, refused: thrown });
    throw thrown;
  }
}

/** Refused here, by the signer: what the owner refuses it records itself. */
class Refused extends Terminal {}

async function signedVote(ports: SignerPorts, asked: Asked, found: RequestedApproval) {
  const { tenant, id, command } = asked;
  const { host, key } = ports;
  const approvals = await ports.approvals.newest(tenant);
  const approver = approvals.approvers.get(command.approver);
  if (approver === undefined) throw new Refused('UnknownApprover', `Nobody is enrolled as ${command.approver}, or no longer.`);
  // Before anything is said about the approval: who has not shown who it is learns nothing.
  if (approver.publicKey === undefined && !ports.secrets.holds(tenant, approver.id, command.secret ?? ''))
    throw notIdentified(approver);
  const edited = 'args' in command ? { edited: { args: command.args } } : {};
  const { runId, decision, shownHash } = command;
  const hash = (value: unknown): string => host.digest.sha256(canonicalJson(value));
  const judged = judgeDecision({ tenant, runId, approver: approver.id, decision, shownHash, ...edited }, found, {
    nowMs: host.clock.nowMs(),
    voteId: id,
    approvals,
    hash,
  });
  if ('refused' in judged) throw new Refused(judged.refused.code, judged.refused.message);
  if ('args' in command) await checkArguments(ports, tenant, { found, args: command.args });
  const unsigned = { statement: judged.statement, ...ownBallot(ports, { approver, statement: judged.statement, command }) };
  const vote: Vote = { ...unsigned, signature: key.sign(signedText('vote', attested(unsigned))) };
  const { call, reason } = command;
  return {
    type: 'RecordVote' as const,
    call,
    vote,
    ...('args' in command ? { args: command.args } : {}),
    ...(reason === undefined ? {} : { reason }),
  };
}

/** Of an approver with a key of its own: only that key speaks for it. */
function ownBallot(
  { signatures }: SignerPorts,
  { approver, statement, command }: { readonly approver: Approver; readonly statement: VoteStatement; readonly command: Decide },
): Pick<Vote, 'ballot'> {
  const { publicKey } = approver;
  if (publicKey === undefined) return {};
  const { signature } = command;
  const text = signedText('ballot', ballotOf(statement));
  if (signature === undefined || !signatures.verify(publicKey, text, signature)) throw notIdentified(approver);
  return { ballot: { publicKey, signature } };
}

async function checkArguments(
  ports: SignerPorts,
  tenant: string,
  { found, args }: { readonly found: RequestedApproval; readonly args: unknown },
): Promise<void> {
  const { tool, toolVersion } = found.request;
  const issues = await ports.tools.issues(tenant, { name: tool, version: toolVersion }, args);
  if (issues === undefined || issues.length > 0) {
    const said =
      issues === undefined ? 'no build is known that holds it in this version' : issues.slice(0, ISSUES_SHOWN).join('; ');
    throw new Terminal('InvalidInput', `The arguments do not fit the input of ${tool}: ${said}.`);
  }
}

async function tell(
  { bus }: SignerPorts,
  address: RunAddress,
  { id, command }: { readonly id: string; readonly command: CommandEnvelopeInput['command'] },
): Promise<unknown> {
  const envelope: CommandEnvelopeInput = { v: 1, id, actor: { kind: 'service', id: 'signer' }, command };
  const said = answer.parse(
    JSON.parse(await bus.request(requestSubject.build(address), JSON.stringify(envelope), { timeoutMs: OWNER_TIMEOUT_MS })),
  );
  if (said.ok) return said.value;
  throw PerdureError.fromRecord(said.error as Parameters<typeof PerdureError.fromRecord>[0]);
}

async function tellRefusal(
  ports: SignerPorts,
  address: RunAddress,
  { asked, refused }: { readonly asked: Asked; readonly refused: Refused },
): Promise<void> {
  const { host, key } = ports;
  const { id, tenant, command } = asked;
  const statement = {
    v: 1 as const,
    id,
    tenant,
    runId: address.runId,
    call: command.call,
    code: refused.code,
    message: refused.message,
    by: command.approver,
    atMs: host.clock.nowMs(),
  };
  const refusal = { statement, signature: key.sign(signedText('refusal', statement)) };
  try {
    await tell(ports, address, { id, command: { type: 'RecordRefusal', refusal } });
  } catch (error) {
    // The run has ended, or has told enough of them: that it is refused stands anyway.
    host.log.warn('a refusal is not in the log of its run', { ...address, code: refused.code, reason: String(error) });
  }
}

function notIdentified({ id, publicKey }: Approver): Refused {
  const how =
    publicKey === undefined
      ? 'the secret that was given at enrolment'
      : 'a signature by the key that is enrolled, over exactly this decision';
  return new Refused('NotIdentified', `Whoever speaks has not shown to be ${id}: it takes ${how}.`);
}

function noSuchApproval({ runId, call }: Decide): Refused {
  return new Refused('NoSuchApproval', `Nobody is asked to approve ${call} of the run ${runId}.`);
}
