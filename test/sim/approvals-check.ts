import { signedText } from '@perdure/kernel';
import { ed25519 } from '@perdure/platform-host-node';
import { attested, type Vote } from '@perdure/run-contract';
import { tenantStream } from '@perdure/tenant-contract';
import type { Finding } from '@perdure/testing';
import { APPROVED_ABOVE, APPROVED_TOOLS } from './approvers';
import type { LogView } from './log-view';
import { TENANT } from './roles';
import { SIGNER } from './signer';

/** Beyond what an owner may believe of policies: its book is at most so old, and an append may wait for the store. */
const IN_FORCE_AFTER_MS = 8_000;

/** I9, with what only the story knows: which effects need an approval, and whose signature counts. */
export function checkApprovals(log: LogView): readonly Finding[] {
  const set = log.of(tenantStream.build(TENANT as never)).find(({ type }) => type === 'ApprovalPolicySet');
  return log.runs().flatMap(([stream, facts]) => {
    const asked = new Set(facts.filter(({ type }) => type === 'ApprovalRequested').map(({ data }) => callOf(data)));
    return facts.flatMap(({ type, data, recordedAtMs }): readonly Finding[] => {
      const found = (message: string): readonly Finding[] => [{ invariant: 'I9', message: `${stream}: ${message}` }];
      if (type === 'ApprovalVoted' && !isSigned((data as { vote: Vote }).vote))
        return found(`a vote on ${callOf(data)} counts that the signer has not signed`);
      const isInForce = set !== undefined && recordedAtMs - set.recordedAtMs > IN_FORCE_AFTER_MS;
      if (type === 'EffectIntended' && isInForce && needsApproval(data) && !asked.has(callOf(data)))
        return found(`nobody was asked to approve of ${callOf(data)}`);
      return [];
    });
  });
}

function isSigned(vote: Vote): boolean {
  return ed25519.verify(SIGNER.publicKey, signedText('vote', attested(vote)), vote.signature);
}

function needsApproval(data: unknown): boolean {
  const { tool, args, undoes } = data as {
    readonly tool: string;
    readonly args?: { readonly value?: number };
    readonly undoes?: string;
  };
  // What undoes is what the tool declares, of an effect that was approved.
  if (undoes !== undefined) return false;
  return APPROVED_TOOLS.includes(tool) && (args?.value ?? 0) > APPROVED_ABOVE;
}

function callOf(data: unknown): string {
  return (data as { readonly call: string }).call;
}
