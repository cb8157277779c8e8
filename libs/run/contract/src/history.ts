import { z } from 'zod';
import { inboundFact, journalItem, runOutcome, runStatus } from './answers';
import { shownSignal } from './signals';
import { callId, displayName, effectClass, nameToken, runKind, userValue } from './values';

const revision = z.number().int().nonnegative();

/** One use of a tool, as the log tells it: what it did outside stays done, whatever becomes of the run. */
export const effectRecord = z.object({
  call: callId,
  branch: z.number().int().nonnegative(),
  tool: displayName,
  effectClass,
  /** `open`: intended, and its end is not in the log. `unknown`: nobody knows whether it happened. */
  status: z.enum(['open', 'unknown', 'confirmed', 'failed']),
  intendedAtRevision: revision,
  endedAtRevision: revision.optional(),
  /** Its tool declares what undoes it: it would be undone if the run failed. Never, of what did not happen. */
  isUndoable: z.boolean(),
});
export type EffectRecord = z.infer<typeof effectRecord>;

/** A run as it was after a revision: a fold of its facts up to there. */
export const runStateView = z.object({
  runId: nameToken,
  tenant: nameToken,
  kind: runKind,
  name: displayName,
  status: runStatus,
  revision,
  epoch: z.number().int().nonnegative(),
  branch: z.number().int().nonnegative(),
  /** Agents: the newest turn of the conversation. */
  turn: z.number().int().nonnegative().optional(),
  input: userValue,
  calls: z.array(
    z.object({
      call: callId,
      kind: z.enum(['tool', 'model', 'sleep', 'wait', 'child', 'message']),
      name: z.string(),
      attempt: z.number().int().positive().optional(),
      /** Of an effect that must not be doubled. */
      execution: z.string().optional(),
      /** Of an effect: how far it was by its own words, and in which attempt. */
      heartbeat: z.object({ attempt: z.number().int().positive(), detail: userValue }).optional(),
      sinceMs: z.number(),
    }),
  ),
  timers: z.array(z.object({ timerId: z.string(), purpose: z.string(), call: callId.optional(), dueAtMs: z.number() })),
  signals: z.array(shownSignal),
  /** What has come for the code and was not given to it yet, oldest first; `inboundLeftOut` more have come since. */
  inbound: z.array(inboundFact),
  inboundLeftOut: z.number().int().nonnegative(),
  /** A page of what the code, or the conversation, has been given; the newest page unless another is asked for. */
  journal: z.object({
    length: z.number().int().nonnegative(),
    from: z.number().int().nonnegative(),
    items: z.array(journalItem),
  }),
  /** The newest effects, oldest first; `effectsLeftOut` of them are older. */
  effects: z.array(effectRecord),
  effectsLeftOut: z.number().int().nonnegative(),
  outcome: runOutcome.optional(),
});
export type RunStateView = z.infer<typeof runStateView>;

/** Answer to RewindRun. */
export const rewindAnswer = z.object({
  runId: nameToken,
  /** The last revision that still holds: the end of a decision, at or before the one that was asked for. */
  to: revision,
  branch: z.number().int().positive(),
  /** True: this is what a rewind would do. */
  dryRun: z.boolean(),
  /** What was done outside after that revision, and stays done. */
  effects: z.array(effectRecord),
});
export type RewindAnswer = z.infer<typeof rewindAnswer>;

/** Answer to ForkRun. */
export const forkAnswer = z.object({
  runId: nameToken,
  forked: z.literal(true),
  source: z.object({ runId: nameToken, revision: revision.optional() }),
});
