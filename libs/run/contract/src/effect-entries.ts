import { fitsInto } from '@perdure/kernel';
import { z } from 'zod';
import { HEARTBEAT_BYTES_MAX } from './limits';
import { callId, errorRecord, executionId, outcome, userValue } from './values';

const attempt = z.number().int().positive();

/** Which execution of an effect a message is about. */
export const ofExecution = { call: callId, attempt, executionId };

/** Of an instruction to execute: what an execution of this effect has said of how far it was. */
export const lastHeartbeat = { lastHeartbeat: userValue.optional() };

/** What a destination says of an execution when it is asked. */
export const probeFinding = z.discriminatedUnion('verdict', [
  z.object({ verdict: z.literal('happened'), result: userValue }),
  z.object({ verdict: z.literal('absent') }),
  /** It cannot say yet, or asking it failed. */
  z.object({ verdict: z.literal('unknown'), error: errorRecord }),
]);
export type ProbeFinding = z.infer<typeof probeFinding>;

/** What an execution has said of how far it is, as whoever executes it passes it on. */
const progressEntry = z.object({
  type: z.literal('effect-progressed'),
  call: callId,
  attempt,
  detail: userValue.refine((detail) => fitsInto(HEARTBEAT_BYTES_MAX, JSON.stringify(detail) ?? ''), {
    error: `larger than ${HEARTBEAT_BYTES_MAX} bytes`,
  }),
});

/** How an execution goes on and ended, as whoever executes it says: the worker that holds the run, or one of the tool's own pool. */
export const executionEntries = [
  progressEntry,
  /** The window of its claim was over: it was not begun. */
  z.object({ type: z.literal('effect-not-started'), ...ofExecution }),
  z.object({
    type: z.literal('effect-result'),
    call: callId,
    attempt,
    outcome,
    /** With a failure that is worth another attempt: the worker gives the code no end before the owner has said whether there is one. */
    asks: z.boolean().optional(),
  }),
  /** It was begun, and whether it happened is not known. */
  z.object({
    type: z.literal('effect-unknown'),
    ...ofExecution,
    because: z.enum(['timed-out', 'error']),
    error: errorRecord,
  }),
  z.object({ type: z.literal('probe-result'), ...ofExecution, probe: z.number().int().positive(), found: probeFinding }),
] as const;
export const executionEntry = z.discriminatedUnion('type', [...executionEntries]);
export type ExecutionEntry = z.infer<typeof executionEntry>;
