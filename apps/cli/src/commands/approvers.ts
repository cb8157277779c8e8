import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { signingKeyOf } from '@perdure/platform-host-node';
import type { Administered } from '../approvals-client';
import { BadUsage, EXIT } from '../cli.errors';
import { pc, say } from '../paint';
import { approvalsOf } from './approvals';
import { DATA_DIR_DEFAULT, jsonOf, type CommonOptions } from './run';

/** Policies and approvers: changed with the secret of the administrator. */
export interface AdministerOptions extends CommonOptions {
  readonly administrator?: string;
}

const SEED_BYTES = 32;

function administered({ administrator }: AdministerOptions): Administered {
  const file = administrator ?? join(process.env.PERDURE_DATA ?? DATA_DIR_DEFAULT, 'signer', 'administrator.secret');
  const secret = process.env.PERDURE_ADMINISTRATOR_SECRET ?? (existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined);
  if (secret === undefined)
    throw new BadUsage(
      `There is no ${file}. Name the file with the secret of the administrator, which lies in the folder of the signer: --administrator FILE, or put it into PERDURE_ADMINISTRATOR_SECRET.`,
    );
  return { secret, by: userInfo().username };
}

export async function enroll(id: string, options: AdministerOptions & { role?: string[]; key?: string }): Promise<number> {
  const roles = options.role ?? [];
  if (roles.length === 0) throw new BadUsage('Give at least one role: --role NAME.');
  const own = options.key === undefined ? {} : { publicKey: ownKey(options.key) };
  const { revision, secret } = await approvalsOf(options).enroll({ id, roles, ...own }, administered(options));
  if (options.json) {
    say(JSON.stringify({ id, roles, ...own, revision, ...(secret === undefined ? {} : { secret }) }));
    return EXIT.ok;
  }
  say(`${pc.green('+')} ${pc.bold(id)} may decide as ${roles.join(', ')}`);
  if (secret !== undefined) say(`  secret, told only now: ${pc.bold(secret)}`);
  return EXIT.ok;
}

/** The private key stays in the file; it is made if it is not there. */
function ownKey(file: string): string {
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(SEED_BYTES).toString('base64')}\n`, { mode: 0o600, flag: 'wx' });
  return signingKeyOf(Buffer.from(readFileSync(file, 'utf8').trim(), 'base64')).publicKey;
}

export async function listApprovers(options: CommonOptions): Promise<number> {
  const { approvers } = await approvalsOf(options).approvers();
  if (options.json) say(JSON.stringify({ approvers }));
  else if (approvers.length === 0) say(pc.dim('Nobody is enrolled: ./perdure approvers enroll <name> --role <role>'));
  else
    for (const { id, roles, publicKey } of approvers)
      say(`${pc.bold(id)} ${roles.join(', ')} ${pc.dim(publicKey === undefined ? 'by secret' : `by key ${publicKey}`)}`);
  return EXIT.ok;
}

export async function revoke(id: string, options: AdministerOptions): Promise<number> {
  const { revision } = await approvalsOf(options).revoke(id, administered(options));
  say(options.json ? JSON.stringify({ id, revision }) : `${pc.yellow('-')} ${pc.bold(id)} may not decide any more`);
  return EXIT.ok;
}

export async function setPolicy(options: AdministerOptions & { policy?: string }): Promise<number> {
  const policy = jsonOf(options.policy ?? '', '--policy');
  const { revision } = await approvalsOf(options).setPolicy(policy, administered(options));
  const { name } = policy as { readonly name?: string };
  say(
    options.json
      ? JSON.stringify({ name, version: revision })
      : `${pc.green('+')} policy ${pc.bold(name ?? '')}, version ${revision}`,
  );
  return EXIT.ok;
}

export async function listPolicies(options: CommonOptions): Promise<number> {
  const { policies } = await approvalsOf(options).policies();
  if (options.json) say(JSON.stringify({ policies }));
  else if (policies.length === 0) say(pc.dim('No policies: ./perdure policies set --policy @file.json'));
  else
    for (const { version, policy } of policies)
      say(`${pc.bold(String(policy.name))} ${pc.dim(`version ${version}`)} ${JSON.stringify(policy)}`);
  return EXIT.ok;
}

export async function removePolicy(name: string, options: AdministerOptions): Promise<number> {
  const { revision } = await approvalsOf(options).removePolicy(name, administered(options));
  say(options.json ? JSON.stringify({ name, revision }) : `${pc.yellow('-')} policy ${pc.bold(name)}`);
  return EXIT.ok;
}
