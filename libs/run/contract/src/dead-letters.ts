import { z } from 'zod';
import { callId, displayName, effectClass, errorRecord, userValue } from './values';

const attempt = z.number().int().positive();
const durationMs = z.number().int().positive();

/** Why no further attempt is made without somebody's word. */
export const exhaustion = z.enum(['attempts', 'total', 'schedule-to-start']);
export type Exhaustion = z.infer<typeof exhaustion>;

/** What the owner sees to of an effect, as its tool declared when it was intended. */
export const effectLimits = z.object({
  /** From when an attempt is due until it is begun. */
  scheduleToStartMs: durationMs.optional(),
  /** From the intention, or the newest re-drive: no attempt begins later. */
  totalMs: durationMs.optional(),
  /** What becomes of it when it is exhausted. Absent: its error is that of the last attempt. */
  onExhausted: z.enum(['fail', 'dead-letter']).optional(),
});
export type EffectLimits = z.infer<typeof effectLimits>;

const byPerson = {
  /** The person. */
  by: z.string().max(300),
  reason: z.string().max(2_000).optional(),
  commandId: z.string(),
};

/** Effects whose attempts are exhausted and that wait for a person. */
export const deadLetterEventSchemas = {
  /** What must not be doubled certainly did not happen: what may have happened is in question instead. */
  EffectDeadLettered: z.object({
    call: callId,
    tool: displayName,
    effectClass,
    args: userValue,
    /** The last that was made, or the one that was never begun. */
    attempt,
    because: exhaustion,
    /** Of the last attempt that failed. */
    error: errorRecord,
  }),
  /** A new series of attempts, of which this is the first. */
  EffectRedriven: z.object({ call: callId, attempt, ...byPerson }),
  /** It will not be tried again; the end of the call follows. */
  EffectGivenUp: z.object({ call: callId, attempt, ...byPerson }),
} as const;

export const deadLetterCommandSchemas = {
  /** A person has an effect in the dead letters tried again. */
  RedriveEffect: z.object({ type: z.literal('RedriveEffect'), call: callId, reason: z.string().max(2_000).optional() }),
  /** A person gives an effect in the dead letters up: its caller is given the error. */
  GiveUpEffect: z.object({ type: z.literal('GiveUpEffect'), call: callId, reason: z.string().max(2_000).optional() }),
} as const;

export const DEAD_LETTER_PAYLOAD_PATHS = {
  EffectDeadLettered: ['args', 'error.message', 'error.details'],
  EffectRedriven: ['reason'],
  EffectGivenUp: ['reason'],
} as const;
