import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Approval, ApprovalLine } from '@perdure/approval-contract';
import { canonicalJson, shownOf, signedText } from '@perdure/kernel';
import { signingKeyOf } from '@perdure/platform-host-node';
import { ballotOf } from '@perdure/run-contract';
import { ApprovalsClient, type Decision } from '../approvals-client';
import { BadUsage, EXIT } from '../cli.errors';
import { duration, note, pc, say } from '../paint';
import { clientOf, jsonOf, wholeNumber, type CommonOptions } from './run';

/** Approvals of effects: who waits, what is asked, and a person's decision. */
export async function listApprovals(
  options: CommonOptions & { status?: string; role?: string; limit?: string },
): Promise<number> {
  const { status = 'open', role } = options;
  const limit = options.limit === undefined ? {} : { limit: wholeNumber(options.limit, '--limit') };
  const only = { ...(status === 'all' ? {} : { status }), ...(role === undefined ? {} : { role }), ...limit };
  const list = await approvalsOf(options).list(only);
  if (options.json) {
    say(JSON.stringify(list));
    return EXIT.ok;
  }
  if (!list.complete) note(pc.yellow('The gateway is still reading the log: the list is not complete yet.'));
  if (list.approvals.length === 0) say(pc.dim('Nothing waits for an approval.'));
  list.approvals.forEach(showLine);
  return EXIT.ok;
}

function showLine(line: ApprovalLine): void {
  const { status, tool, call, name, runId, agreed, quorum, roles, expiresAtMs } = line;
  const left = expiresAtMs - Date.now();
  const time = status === 'open' ? (left > 0 ? `, for ${duration(left)} more` : ', over') : '';
  say(`${pc.magenta('?')} ${pc.bold(tool)} ${pc.dim(`${call} of ${name} ${runId}, ${status}${time}`)}`);
  say(
    `    ${agreed.length} of ${quorum} agree${agreed.length === 0 ? '' : ` (${agreed.join(', ')})`}; may decide: ${roles.join(', ')}`,
  );
  if (line.refusals > 0) say(`    ${pc.red(`${line.refusals} refused: ./perdure run events ${runId}`)}`);
  if (status === 'open') say(`    ${pc.dim(`./perdure approvals show ${runId} ${call}`)}`);
}

export async function showApproval(runId: string, call: string, options: CommonOptions): Promise<number> {
  const approval = await approvalsOf(options).get(runId, call);
  if (options.json) {
    say(JSON.stringify(approval));
    return EXIT.ok;
  }
  showLine(approval);
  say(`    asked for by ${approval.requestedBy}, under the policy ${approval.policy} (version ${approval.policyVersion})`);
  say(`    expires ${new Date(approval.expiresAtMs).toISOString()}`);
  say(`    shown ${pc.dim(approval.shownHash)}`);
  say(`    arguments ${pc.dim(approval.argsHash)}`);
  say(JSON.stringify(approval.args, undefined, 2).replace(/^/gm, '    '));
  if (shownHashOf(approval) !== approval.shownHash)
    note(pc.red('What is shown here is not what the log asks an approval for: do not approve of it.'));
  return EXIT.ok;
}

export interface DecideOptions extends CommonOptions {
  readonly as?: string;
  readonly key?: string;
  readonly reason?: string;
  readonly shown?: string;
  readonly args?: string;
}

export async function decide(
  verb: 'approve' | 'deny' | 'edit',
  of: { readonly runId: string; readonly call: string },
  options: DecideOptions,
): Promise<number> {
  const client = approvalsOf(options);
  const args = verb === 'edit' ? { args: jsonOf(options.args ?? '', '--args') } : {};
  const approver = options.as ?? process.env.PERDURE_APPROVER;
  if (approver === undefined) throw new BadUsage('Say who decides: --as NAME, or PERDURE_APPROVER.');
  const said = options.reason === undefined ? {} : { reason: options.reason };
  const approval = await client.get(of.runId, of.call);
  const proof =
    options.key === undefined
      ? { secret: secretOf() }
      : { signature: signed(options.key, approval, { approver, verb, ...args }) };
  const shownHash = options.shown ?? shownHashOf(approval);
  await client.decide(verb, of, { approver, ...proof, shownHash, ...said, ...args } satisfies Decision);
  const did = { approve: 'approved', deny: 'denied', edit: 'approved with other arguments' }[verb];
  say(options.json ? JSON.stringify({ ...of, did: verb }) : `${pc.green('!')} ${of.call} of ${pc.bold(of.runId)}: ${did}`);
  return EXIT.ok;
}

function secretOf(): string {
  const secret = process.env.PERDURE_APPROVER_SECRET;
  if (secret === undefined || secret === '')
    throw new BadUsage(
      'Put the secret of the approver into PERDURE_APPROVER_SECRET, or sign with a key of your own: --key FILE.',
    );
  return secret;
}

/** Over what is shown, not over what the gateway says its hash is. */
function signed(
  keyFile: string,
  approval: Approval,
  { approver, verb, args }: { approver: string; verb: string; args?: unknown },
): string {
  const seed = Buffer.from(readFileSync(keyFile, 'utf8').trim(), 'base64');
  const argsHash = hashOf(verb === 'edit' ? args : approval.args);
  const decision = verb === 'deny' ? 'deny' : 'approve';
  const ballot = ballotOf({ ...approval, argsHash, shownHash: shownHashOf(approval), decision, approver });
  return signingKeyOf(seed).sign(signedText('ballot', ballot));
}

function shownHashOf({ name, call, tool, args, policy: why, requestedBy }: Approval): string {
  return hashOf(shownOf({ name, call, tool, args, why, requestedBy }));
}

function hashOf(value: unknown): string {
  return createHash('sha256').update(canonicalJson(value)).digest('hex');
}

export function approvalsOf(options: CommonOptions): ApprovalsClient {
  return new ApprovalsClient(clientOf(options));
}
