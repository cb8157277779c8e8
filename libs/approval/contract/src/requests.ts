import { token, type Token } from '@perdure/kernel';
import { z } from 'zod';

/**
 * What persons ask of the signer. Only it listens here: what they identify themselves with passes no other service's ears.
 */

const nameToken = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const secret = z.string().min(1).max(200);
const REASON_MAX = 2_000;

export const signerSubject = {
  build: (tenant: Token): string => `perdure.signer.${tenant}`,
  all: 'perdure.signer.*',
  parse: (subject: string): Token => token(subject.split('.')[2] ?? '', 'tenant'),
};

/** Who speaks: by a secret that the signer gave out, or by a signature made with the key that is enrolled. */
const identified = {
  approver: nameToken,
  secret: secret.optional(),
  /** Over the ballot: see the reference. */
  signature: z.string().max(200).optional(),
};

export const signerCommandSchemas = {
  /** A person decides on an approval. */
  Decide: z.object({
    type: z.literal('Decide'),
    runId: nameToken,
    call: z.string().min(1).max(200),
    decision: z.enum(['approve', 'deny']),
    /** Of what the person was shown: refused if something else is asked for by now. */
    shownHash: z.string().max(128).optional(),
    /** Arguments in the place of those intended. */
    args: z.unknown().optional(),
    reason: z.string().max(REASON_MAX).optional(),
    ...identified,
  }),
  /** An administrator changes policies or approvers. The change is that of the tenant's contract. */
  Change: z.object({
    type: z.literal('Change'),
    /** Of the administrator: made by the signer at its first start. */
    secret,
    by: z.string().min(1).max(200),
    change: z.unknown(),
  }),
} as const;

export const signerRequest = z.object({
  v: z.literal(1),
  /** A UUID of version 7: a repeat is recognised by it. */
  id: z.uuidv7(),
  command: z.discriminatedUnion('type', [signerCommandSchemas.Decide, signerCommandSchemas.Change]),
});
export type SignerRequest = z.infer<typeof signerRequest>;
export type Decide = z.infer<typeof signerCommandSchemas.Decide>;
export type Change = z.infer<typeof signerCommandSchemas.Change>;

/** Answer to Change. */
export const changeAnswer = z.object({
  revision: z.number().int().nonnegative(),
  /** Of an approver who was enrolled without a key: told once, kept nowhere. */
  secret: z.string().optional(),
});
export type ChangeAnswer = z.infer<typeof changeAnswer>;
