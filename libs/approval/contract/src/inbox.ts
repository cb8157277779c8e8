import { token, type Token } from '@perdure/kernel';
import { z } from 'zod';
import { taskQuestions } from './tasks';

/**
 * What waits for persons, asked of a gateway: it alone has read the log of every run. What is decided goes to the signer.
 */

const nameToken = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const LIST_MAX = 1_000;
const LIST_DEFAULT = 100;

/** Mapped by the broker as every request is: nobody but services may listen there. */
export const inboxSubject = {
  build: (tenant: Token): string => `perdure.req.${tenant}.approvals.inbox`,
  /** Of all tenants, as the broker has mapped them. */
  all: 'perdure.part.*.req.*.approvals.inbox',
  parse: (subject: string): Token => token(subject.split('.')[4] ?? '', 'tenant'),
};

export const approvalStatus = z.enum(['open', 'granted', 'denied', 'expired', 'ended']);
export type ApprovalStatus = z.infer<typeof approvalStatus>;

/** One line of the inbox. */
export const approvalLine = z.object({
  runId: nameToken,
  tenant: nameToken,
  call: z.string(),
  branch: z.number().optional().describe('How often its run was rewound before; absent for 0.'),
  name: z.string().describe('Of the agent or workflow.'),
  tool: z.string(),
  toolVersion: z.string(),
  status: approvalStatus,
  policy: z.string(),
  policyVersion: z.number(),
  roles: z.array(z.string()).describe('Who may decide now.'),
  quorum: z.number(),
  agreed: z.array(z.string()).describe('Who has agreed.'),
  requestedBy: z.string(),
  separationOfDuties: z.boolean(),
  argsHash: z.string(),
  shownHash: z.string(),
  requestedAtMs: z.number(),
  expiresAtMs: z.number(),
  refusals: z.number().describe('Attempts to get around it.'),
  requestRevision: z.number().describe('Of the fact that asked for it: the intention is the one before.'),
  revision: z.number().describe('Of the newest fact about it.'),
});
export type ApprovalLine = Readonly<z.infer<typeof approvalLine>>;

/** With all that a decision is about. */
export const approval = approvalLine.extend({ args: z.unknown().describe('As they were intended.') });
export type Approval = Readonly<z.infer<typeof approval>>;

export const approvalsWanted = {
  status: approvalStatus.optional(),
  role: nameToken.optional().describe('Only what this role may decide on.'),
  limit: z.coerce.number().int().positive().max(LIST_MAX).default(LIST_DEFAULT),
};

export const inboxRequest = z.object({
  v: z.literal(1),
  command: z.discriminatedUnion('type', [
    z.object({ type: z.literal('ListApprovals'), ...approvalsWanted }),
    z.object({ type: z.literal('GetApproval'), runId: nameToken, call: z.string().min(1).max(200) }),
    ...taskQuestions,
  ]),
});
export type InboxRequest = z.infer<typeof inboxRequest>;
export type InboxRequestInput = z.input<typeof inboxRequest>;
