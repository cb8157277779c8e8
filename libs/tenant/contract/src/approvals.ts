import { z } from 'zod';
import { displayName, nameToken } from './values';

/**
 * Who must agree before an effect runs, and who those persons are. Both are changed by the signer alone: each change is signed by it
 * and names the change before it, so that nobody else can make one, and none can be made twice.
 */

/** A year: what nobody has answered by then, nobody will. */
const APPROVAL_MS_MAX = 366 * 24 * 60 * 60 * 1_000;
const APPROVAL_MS_MIN = 100;
const APPROVAL_MS = 24 * 60 * 60 * 1_000;
const QUORUM_MAX = 20;
const ROLES_MAX = 20;

const afterMs = z.number().int().min(APPROVAL_MS_MIN).max(APPROVAL_MS_MAX);

/** One condition on the arguments. What cannot be compared counts as if the condition held: it is looked at by a person. */
export const argumentPredicate = z.object({
  /** Fields by name or index, with dots between them; `*` = some element. */
  path: z.string().min(1).max(200),
  op: z.enum(['eq', 'ne', 'lt', 'lte', 'gt', 'gte', 'in', 'exists']),
  /** `in`: a list. `exists`: true or false. */
  value: z.unknown().optional(),
});
export type ArgumentPredicate = z.infer<typeof argumentPredicate>;

export const approvalPolicy = z.object({
  name: nameToken,
  /** Names of tools; `*` = every tool. */
  tools: z.array(displayName).min(1).max(200),
  /** All of them must hold; none = every use of the tools. */
  when: z.array(argumentPredicate).max(50).default([]),
  /** Whoever has one of them may decide. */
  roles: z.array(nameToken).min(1).max(ROLES_MAX),
  /** So many persons must agree; one who denies is enough to refuse. */
  quorum: z.number().int().positive().max(QUORUM_MAX).default(1),
  expiresAfterMs: afterMs.default(APPROVAL_MS),
  /** After so long without a decision, whoever has this role may decide, too. */
  escalation: z
    .array(z.object({ afterMs, role: nameToken }))
    .max(10)
    .default([]),
  /** Whoever requested the run may not decide on it. */
  separationOfDuties: z.boolean().default(true),
});
export type ApprovalPolicy = z.infer<typeof approvalPolicy>;

/** So long after a policy was set nobody judges an effect by what was in force before. */
export const POLICY_IN_FORCE_MS = 1_000;

/** Of a tool that asks for approval by itself, where no policy says more. */
export const DEFAULT_POLICY: ApprovalPolicy = approvalPolicy.parse({ name: 'default', tools: ['*'], roles: ['approver'] });

export const approver = z.object({
  id: nameToken,
  roles: z.array(nameToken).min(1).max(ROLES_MAX),
  /** Ed25519, base64 of 32 bytes: this person signs; nobody else can speak for it, not even who runs the signer's secrets. */
  publicKey: z.string().max(100).optional(),
});
export type Approver = z.infer<typeof approver>;

export const approvalChange = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ApprovalPolicySet'), policy: approvalPolicy }),
  z.object({ type: z.literal('ApprovalPolicyRemoved'), name: nameToken }),
  z.object({ type: z.literal('ApproverEnrolled'), approver }),
  z.object({ type: z.literal('ApproverRevoked'), id: nameToken }),
]);
export type ApprovalChange = z.infer<typeof approvalChange>;

export const signedChange = z.object({
  statement: z.object({
    v: z.literal(1),
    tenant: nameToken,
    /** Revision of the change before it; -1 for the first. */
    after: z.number().int().min(-1),
    by: z.string().min(1).max(200),
    atMs: z.number().int().nonnegative(),
    change: approvalChange,
  }),
  /** By the signer. */
  signature: z.string().max(200),
});
export type SignedChange = z.infer<typeof signedChange>;

export const APPROVAL_EVENT_TYPES = [
  'ApprovalPolicySet',
  'ApprovalPolicyRemoved',
  'ApproverEnrolled',
  'ApproverRevoked',
] as const satisfies readonly ApprovalChange['type'][];

export interface KnownPolicy {
  readonly policy: ApprovalPolicy;
  /** Revision of the fact that set it. */
  readonly version: number;
}

/** What is in force for a tenant. */
export interface TenantApprovals {
  /** Of the last change; -1 before the first. */
  readonly revision: number;
  readonly policies: ReadonlyMap<string, KnownPolicy>;
  /** Every policy that was ever set, by version: a request stays under the one that it was made under. */
  readonly versions: ReadonlyMap<number, ApprovalPolicy>;
  readonly approvers: ReadonlyMap<string, Approver>;
}

export const NO_APPROVALS: TenantApprovals = {
  revision: -1,
  policies: new Map(),
  versions: new Map([[0, DEFAULT_POLICY]]),
  approvers: new Map(),
};
