import { z } from 'zod';
import { TIMER_DELAY_MS_MAX } from './limits';
import { runLimits, spending } from './spending';
import { callId, displayName, nameToken, outcome, userValue } from './values';

/**
 * Runs that a run starts. The fact that asks for one is a promise, kept by the owner of the run that asks: it starts the
 * child, whose id follows from who asked, and learns of its end from the log.
 */

/**
 * What becomes of a child that is open when its parent ends or is cancelled. `cancel`: it is cancelled, and a parent that is
 * cancelled waits for it, for a while. `request`: it is asked to cancel, and nobody waits. `abandon`: it goes on.
 */
export const parentClosePolicy = z.enum(['cancel', 'request', 'abandon']);
export type ParentClosePolicy = z.infer<typeof parentClosePolicy>;

/** What is asked of a child, beside its input. */
const childOptions = {
  pool: nameToken.optional(),
  deadlineMs: z.number().int().positive().max(TIMER_DELAY_MS_MAX).optional(),
  limits: runLimits.optional(),
  parentClose: parentClosePolicy.default('cancel'),
  /** The call ends when the child has been started, with its id. */
  detached: z.boolean().optional(),
};

export const childRequestedEntry = z.object({
  type: z.literal('child-requested'),
  call: callId,
  name: displayName,
  input: userValue,
  ...childOptions,
});
export type ChildRequestedEntry = z.infer<typeof childRequestedEntry>;

/** Of which call of which run a run is the child. */
export const parentOfRun = z.object({ runId: nameToken, call: callId });
export type ParentOfRun = z.infer<typeof parentOfRun>;

export const childEventSchemas = {
  ChildRequested: z.object({
    call: callId,
    child: nameToken,
    name: displayName,
    input: userValue,
    ...childOptions,
    /** Agents: the tool by which the model asked for it. */
    asTool: z.object({ tool: displayName, toolCallId: z.string().max(200) }).optional(),
  }),
  /** Only of a detached one: its call has ended. */
  ChildStarted: z.object({ call: callId, child: nameToken }),
  ChildEnded: z.object({
    call: callId,
    child: nameToken,
    outcome,
    /** With what its own children have used; absent when it never began. */
    spent: spending.optional(),
  }),
} as const;

export const CHILD_PAYLOAD_PATHS = {
  ChildRequested: ['input'],
  ChildEnded: ['outcome.value', 'outcome.error.message', 'outcome.error.details'],
} as const;

/** Characters of the hash by which a child is named. */
const CHILD_ID_LENGTH = 40;

/** From identity alone, so that whoever asks again asks for the same run. */
export function childRunId(
  digest: { sha256(text: string): string },
  of: { readonly tenant: string; readonly runId: string; readonly branch: number; readonly call: string },
): string {
  return `child-${digest.sha256(`${of.tenant}/${of.runId}/${of.branch}/${of.call}`).slice(0, CHILD_ID_LENGTH)}`;
}
