import { canonicalJson, signedText, Terminal, type ErrorRecord, type Host, type Signatures } from '@perdure/kernel';
import { attested, ballotOf, type Grant, type Vote } from '@perdure/run-contract';
import type { BuildManifest } from '@perdure/tenant-contract';
import type { Tool } from './definitions';
import { recordOf } from './outcome';

/**
 * What an executing worker convinces itself of before it claims an effect that needed an approval. It believes the signer's key,
 * which it has by its own configuration, and nothing that it is told.
 *
 * 1. Each vote is signed by the signer, and is about this tenant, run, branch, call, tool in the version that is held here, and exactly the
 *    arguments that would be executed.
 * 2. So many distinct persons as the policy asks for agree, on the same request, and their grant has not expired.
 * 3. A tool that asks for approval by itself is not run without a grant, whatever the owner of the run says.
 */
export interface GrantKnown {
  readonly signatures: Signatures;
  readonly signerKey: string | undefined;
  readonly manifest: BuildManifest;
  readonly tenant: string;
}

export interface GrantedUse {
  readonly runId: string;
  readonly branch: number;
  readonly call: string;
  readonly tool: Tool;
  readonly args: unknown;
  readonly grant: Grant | undefined;
}

/** Why the effect must not be begun; undefined when nothing stands against it. */
export function refusedGrant(host: Host, known: GrantKnown, use: GrantedUse): ErrorRecord | undefined {
  const why = flawOf(host, known, use);
  if (why === undefined) return undefined;
  return recordOf(
    new Terminal('GrantRefused', `${use.tool.name} was not run: ${why}.`, { details: { call: use.call } }),
    'terminal',
  );
}

function flawOf(host: Host, known: GrantKnown, use: GrantedUse): string | undefined {
  const { grant, tool } = use;
  if (grant === undefined) return tool.approval === 'required' ? 'it asks for an approval, and no grant came with it' : undefined;
  if (known.signerKey === undefined)
    return 'this worker does not know the key of the signer; give it one by PERDURE_SIGNER_KEY or the option signerKey';
  const [first] = grant.votes;
  if (first === undefined) return 'its grant holds no vote';
  const flaw = grant.votes.map((vote) => flawOfVote(host, known, { use, vote })).find((found) => found !== undefined);
  if (flaw !== undefined) return flaw;
  if (!grant.votes.every((vote) => requestOf(vote) === requestOf(first)))
    return 'the votes of its grant are about different requests';
  const persons = new Set(grant.votes.map(({ statement }) => statement.approver));
  const { quorum } = first.statement;
  return persons.size < quorum ? `${persons.size} of ${quorum} persons have agreed` : undefined;
}

function flawOfVote(host: Host, known: GrantKnown, { use, vote }: { use: GrantedUse; vote: Vote }): string | undefined {
  const { statement, ballot, signature } = vote;
  const { signatures, signerKey = '' } = known;
  if (!signatures.verify(signerKey, signedText('vote', attested(vote)), signature)) return 'a vote is not signed by the signer';
  if (ballot !== undefined && !signatures.verify(ballot.publicKey, signedText('ballot', ballotOf(statement)), ballot.signature))
    return `${statement.approver} has not signed its vote`;
  if (statement.decision !== 'approve') return `${statement.approver} did not agree`;
  const isOfUse = statement.runId === use.runId && statement.branch === use.branch && statement.call === use.call;
  if (statement.tenant !== known.tenant || !isOfUse) return 'the grant is of another effect';
  if (statement.tool !== use.tool.name || statement.toolVersion !== versionOf(host, known, use.tool.name))
    return 'the grant is of another tool, or of another version of it';
  if (statement.argsHash !== host.digest.sha256(canonicalJson(use.args))) return 'the grant is for other arguments';
  return host.clock.nowMs() >= statement.expiresAtMs ? 'its grant has expired' : undefined;
}

function versionOf({ digest }: Host, { manifest }: GrantKnown, name: string): string | undefined {
  const tool = manifest.tools.find((candidate) => candidate.name === name);
  return tool === undefined ? undefined : digest.sha256(canonicalJson(tool));
}

function requestOf({ statement: { policy, policyVersion, quorum, shownHash } }: Vote): string {
  return canonicalJson({ policy, policyVersion, quorum, shownHash });
}
