import { z } from 'zod';
import { grant } from './approvals';
import { executionEntry, lastHeartbeat, ofExecution } from './effect-entries';
import { callId, displayName, effectClass, executionId, nameToken } from './values';

/**
 * Effects of tools that have a pool of their own: executed by a worker of that pool, which alone holds the credential,
 * and independent of the activation of the run. The owner of the run offers, the worker claims, executes and reports.
 */

const attempt = z.number().int().positive();
const session = { workerId: nameToken, sessionId: nameToken };
/** Made by the owner for one offer and sent to its worker alone: whoever shows it is the one that was asked. */
const ticket = z.string().min(1).max(100);

/** Who executes: by its own heartbeats a worker of the pool, with the build that says what the tool is. */
export const executor = z.object({
  pool: nameToken,
  ...session,
  buildId: nameToken,
  /** Of the ticket of its offer: what is reported of the execution is proven with the ticket itself. */
  ticketHash: z.string().max(128).optional(),
});
export type Executor = z.infer<typeof executor>;

export const pooledEventSchemas = {
  /** Its worker is gone; what may be repeated is due again, as the next attempt under the same key. */
  EffectLost: z.object({
    ...ofExecution,
    workerId: nameToken,
    /** Executions of this effect that were lost so far. */
    losses: z.number().int().positive(),
  }),
} as const;

/** Fields of facts of earlier versions that only such effects have. */
export const pooledFields = {
  EffectIntended: { /** Whose workers execute it; absent: the worker that holds the run. */ pool: nameToken.optional() },
  EffectDispatched: {
    executor: executor.optional(),
    /** As the executor's own build has registered it; what was intended came from elsewhere. */
    effectClass: effectClass.optional(),
  },
  /** How many such effects are open when nobody holds the run: its owner looks after them all the same. */
  LettingGo: { pooledEffects: z.number().int().positive().optional() },
};

export const pooledCommandSchemas = {
  /** From a worker that was offered the effect: about to execute exactly these arguments. Only the answer lets it begin. */
  ClaimEffect: z.object({
    type: z.literal('ClaimEffect'),
    ...ofExecution,
    ...session,
    ticket,
    /** Of the offer: how often the run was rewound. */
    branch: z.number().int().nonnegative().optional(),
    argsHash: z.string().max(128),
    grantId: z.string().max(128).optional(),
  }),
  /** From the worker that executes or probes: repeated until it is answered. */
  ReportEffect: z.object({
    type: z.literal('ReportEffect'),
    ...ofExecution,
    ...session,
    ticket,
    entry: executionEntry,
  }),
} as const;

const ofRun = { v: z.literal(1), tenant: nameToken, runId: nameToken };

/** A hint that an effect is due: nothing is begun by it. Repeated, perhaps to another worker, until it is claimed. */
export const offerMessage = z.object({
  type: z.literal('offer'),
  ...ofRun,
  sessionId: nameToken,
  ticket,
  /** How often the run was rewound: part of the identity of the effect. */
  branch: z.number().int().nonnegative().optional(),
  do: z.enum(['run', 'probe']),
  call: callId,
  tool: displayName,
  attempt,
  /** Canonical JSON: these very bytes are hashed, claimed and executed. */
  argsText: z.string(),
  /** Of an effect that needed an approval: verify it before the claim. */
  grant: grant.optional(),
  ...lastHeartbeat,
  /** To probe: what is asked about, and the number of the probe. */
  executionId: executionId.optional(),
  probe: z.number().int().positive().optional(),
});
export type OfferMessage = z.infer<typeof offerMessage>;

/** The run is cancelled or over: what its tools are doing shall stop, as far as they can. */
export const stopMessage = z.object({ type: z.literal('stop'), ...ofRun, call: callId, executionId });
export type StopMessage = z.infer<typeof stopMessage>;
