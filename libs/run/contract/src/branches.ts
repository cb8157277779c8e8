import { z } from 'zod';
import { journalItem } from './answers';
import { shownSignal } from './signals';
import { nameToken, userValue } from './values';

const revision = z.number().int().nonnegative();

/**
 * What of a run goes on somewhere else: all that its code or its conversation has been given, in the words in which a
 * worker is given it. What was open is no part of it: the facts that follow open it anew.
 */
export const carriedState = z.object({
  /** Agents: the newest turn that was decided. */
  turn: z.number().int().nonnegative(),
  journal: z.array(journalItem),
  /** Sent, and read by nobody. */
  signals: z.array(shownSignal),
});
export type CarriedState = z.infer<typeof carriedState>;

export const branchEventSchemas = {
  /** The second fact of a run that began as a copy of another one, which it never refers to again. */
  RunForked: z.object({
    source: z.object({ runId: nameToken, revision }),
    /** Of an agent: asked from now on, in the place of the one that its build names first. */
    model: z.string().max(200).optional(),
    carried: carriedState,
  }),
  /** The run goes on from what it was at revision `to`. What it has done outside since then stays done. */
  RunRewound: z.object({
    to: revision,
    branch: z.number().int().positive(),
    carried: carriedState,
    reason: z.string(),
    commandId: z.string(),
  }),
  /** The code goes on from its beginning, with another input and nothing that it has done before. */
  RunContinued: z.object({ branch: z.number().int().positive(), input: userValue }),
} as const;

export const BRANCH_PAYLOAD_PATHS = {
  RunForked: ['carried.journal', 'carried.signals'],
  RunRewound: ['carried.journal', 'carried.signals', 'reason'],
  RunContinued: ['input'],
} as const;
