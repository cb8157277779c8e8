import { ofBranch } from '@perdure/kernel';
import { z } from 'zod';
import { callId, displayName, nameToken, userValue } from './values';

/**
 * Approvals of effects: what is asked, what persons have said under the signer's signature, and what became of it. The identity
 * of an approval is that of its effect: the call, and the branch of the run, which is left out where it is 0.
 */

const timestampMs = z.number().int().nonnegative();
const hash = z.string().max(128);
/** Ed25519, base64. */
export const signature = z.string().max(200);
export const publicKey = z.string().max(100);
const branch = z.number().int().nonnegative();
const QUORUM_MAX = 20;
export const REASON_MAX = 2_000;

/** What the signer attests: this person, who has this role, says this of exactly this effect. */
export const voteStatement = z.object({
  v: z.literal(1),
  /** Of this vote, told apart from every other. */
  id: z.uuid(),
  tenant: nameToken,
  runId: nameToken,
  branch,
  call: callId,
  tool: displayName,
  /** Hash of the tool's manifest. */
  toolVersion: hash,
  /** Of the canonical arguments that may be executed. */
  argsHash: hash,
  /** Of what the person was shown. */
  shownHash: hash,
  policy: nameToken,
  policyVersion: z.number().int().nonnegative(),
  approver: nameToken,
  role: nameToken,
  quorum: z.number().int().positive().max(QUORUM_MAX),
  decision: z.enum(['approve', 'deny']),
  votedAtMs: timestampMs,
  /** Of the grant that it is part of. */
  expiresAtMs: timestampMs,
});
export type VoteStatement = z.infer<typeof voteStatement>;

/** What a person signs with a key of its own; the same for a repeated try. */
export const ballot = z.object({
  v: z.literal(1),
  tenant: nameToken,
  runId: nameToken,
  branch: branch.optional(),
  call: callId,
  argsHash: hash,
  shownHash: hash,
  decision: z.enum(['approve', 'deny']),
  approver: nameToken,
});
export type Ballot = z.infer<typeof ballot>;

export const vote = z.object({
  statement: voteStatement,
  /** By the signer, over the statement and, with it, the ballot. */
  signature,
  /** Of an approver with a key of its own: that key as it is enrolled, and its signature over the ballot. */
  ballot: z.object({ publicKey, signature }).optional(),
});
export type Vote = z.infer<typeof vote>;

/** What the signer's signature of a vote is made over. */
export function attested({ statement, ballot: own }: Pick<Vote, 'statement' | 'ballot'>): unknown {
  return own === undefined ? { statement } : { statement, ballot: own };
}

/** What a person says, in the words that it signs; of a vote, the ballot that it stands for. */
export function ballotOf(said: Omit<Ballot, 'v'>): Ballot {
  const { tenant, runId, branch = 0, call, argsHash, shownHash, decision, approver } = said;
  return { v: 1, tenant, runId, ...ofBranch(branch), call, argsHash, shownHash, decision, approver };
}

/** Somebody tried what the signer would not sign. */
export const refusalStatement = z.object({
  v: z.literal(1),
  id: z.uuid(),
  tenant: nameToken,
  runId: nameToken,
  call: callId,
  code: z.string().min(1).max(100),
  message: z.string().max(REASON_MAX),
  /** Who it said it was. */
  by: z.string().max(200),
  atMs: timestampMs,
});
export const signedRefusal = z.object({ statement: refusalStatement, signature });
export type SignedRefusal = z.infer<typeof signedRefusal>;

/** Whose arguments were executed in the place of those that were asked for. */
export const editedUse = z.object({ by: z.array(nameToken).min(1).max(QUORUM_MAX), args: userValue });
export type EditedUse = z.infer<typeof editedUse>;

/** What the executing worker is given with an instruction: enough to convince itself. */
export const grant = z.object({ grantId: z.string().max(128), votes: z.array(vote).min(1).max(QUORUM_MAX) });
export type Grant = z.infer<typeof grant>;

export const approvalCommandSchemas = {
  /** From the signer: a person has decided. */
  RecordVote: z.object({
    type: z.literal('RecordVote'),
    call: callId,
    vote,
    /** Arguments that the person has put in the place of those intended. */
    args: userValue.optional(),
    reason: z.string().max(REASON_MAX).optional(),
  }),
  /** From the signer: a person has tried what it may not. */
  RecordRefusal: z.object({ type: z.literal('RecordRefusal'), refusal: signedRefusal }),
} as const;

export const approvalEventSchemas = {
  /** The effect may not run before enough persons have agreed. */
  ApprovalRequested: z.object({
    call: callId,
    branch: branch.optional(),
    tool: displayName,
    toolVersion: hash,
    argsHash: hash,
    shownHash: hash,
    policy: nameToken,
    /** Revision of the fact that set the policy; 0 for the default one. */
    policyVersion: z.number().int().nonnegative(),
    roles: z.array(nameToken),
    quorum: z.number().int().positive(),
    separationOfDuties: z.boolean(),
    requestedBy: z.string().max(200),
    /** Of the run, so that whoever lists approvals need not look it up. */
    name: displayName,
    requestedAtMs: timestampMs,
    expiresAtMs: timestampMs,
    /** From when on others may decide, too. */
    escalations: z.array(z.object({ atMs: timestampMs, role: nameToken })),
  }),
  /** A person agrees; others may be needed. */
  ApprovalVoted: z.object({
    call: callId,
    vote,
    args: userValue.optional(),
    reason: z.string().max(REASON_MAX).optional(),
    commandId: z.string(),
  }),
  /** Enough agree on the same arguments: the effect may be claimed until it expires. */
  ApprovalGranted: z.object({
    call: callId,
    grantId: hash,
    argsHash: hash,
    /** Present when a person has changed the arguments: these are executed. */
    args: userValue.optional(),
    approvers: z.array(nameToken).min(1),
    expiresAtMs: timestampMs,
  }),
  /** Followed by the failure of the effect. */
  ApprovalDenied: z.object({
    call: callId,
    vote,
    reason: z.string().max(REASON_MAX).optional(),
    commandId: z.string(),
  }),
  /** Nobody decided in time, or the grant was not used in time. Followed by the failure of the effect. */
  ApprovalExpired: z.object({ call: callId, expiresAtMs: timestampMs }),
  ApprovalEscalated: z.object({ call: callId, role: nameToken }),
  /** Somebody tried to get around an approval. The first of a run are told, the others only refused. */
  ApprovalRefused: z.object({
    call: callId,
    code: z.string().min(1).max(100),
    message: z.string().max(REASON_MAX),
    by: z.string().max(300),
    commandId: z.string(),
  }),
} as const;

/** Payload fields of these facts. */
export const APPROVAL_PAYLOAD_PATHS = {
  ApprovalVoted: ['args', 'reason'],
  ApprovalGranted: ['args'],
  ApprovalDenied: ['reason'],
  ApprovalRefused: ['message'],
} as const;
