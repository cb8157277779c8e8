import { z } from 'zod';
import { callId, displayName, effectClass, errorRecord, userValue } from './values';

const timestampMs = z.number().int().nonnegative();
const what = z.string().max(200);

/** What a compensation would do if it were repeated; recorded with the intention of the effect that it would undo. */
export const compensation = z.object({ effectClass });

/** What became of the effects of a run that did not complete. */
export const effectsLeft = z.object({
  undone: z.array(z.object({ call: callId, what })),
  notUndone: z.array(z.object({ call: callId, what, why: z.string().max(2_000) })),
  /** Confirmed, and nothing is declared that would undo them. */
  stays: z.array(z.object({ call: callId, what })),
  /** Nobody knows whether they happened. */
  unknown: z.array(z.object({ call: callId, what })),
  /** Those that stay beyond the ones that are named, which are the newest. */
  staysBeyond: z.number().int().positive().optional(),
});
export type EffectsLeft = z.infer<typeof effectsLeft>;

/** How a run will have ended when its effects are undone. */
export const endingOutcome = z.discriminatedUnion('status', [
  z.object({ status: z.literal('failed'), error: errorRecord }),
  z.object({ status: z.literal('cancelled'), reason: z.string() }),
  z.object({ status: z.literal('timed-out'), deadlineAtMs: z.number() }),
]);
export type EndingOutcome = z.infer<typeof endingOutcome>;

/** A run that ends without having completed undoes what it has done, newest first. */
export const undoEventSchemas = {
  /** The code of a workflow has said what would undo what it does; the call is its identity. */
  UndoRegistered: z.object({ call: callId, tool: displayName, effectClass, args: userValue, argsHash: z.string() }),
  /** It is decided how the run ends; nothing new begins but what undoes its effects. The fact of the outcome follows. */
  RunEnding: z.object({
    outcome: endingOutcome,
    toUndo: z.number().int().nonnegative(),
    endingAtMs: timestampMs,
    /** What is not undone by then is given up. */
    undoByMs: timestampMs,
  }),
  /** `undo` is the effect that undid it. */
  EffectCompensated: z.object({ call: callId, tool: displayName, undo: callId }),
  EffectNotCompensated: z.object({ call: callId, tool: displayName, why: z.string().max(2_000) }),
} as const;

export const UNDO_PAYLOAD_PATHS = {
  UndoRegistered: ['args'],
  RunEnding: ['outcome.reason', 'outcome.error.message', 'outcome.error.details'],
  EffectNotCompensated: ['why'],
} as const;

/** What the view of a run says while its effects are undone. */
export const endingView = z.object({
  outcome: z.enum(['failed', 'cancelled', 'timed-out']),
  undone: z.number().int().nonnegative(),
  left: z.number().int().nonnegative(),
  undoByMs: z.number(),
});
