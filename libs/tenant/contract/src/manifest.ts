import { z } from 'zod';
import { signedChange } from './approvals';
import { displayName, nameToken } from './values';

/** JSON Schema, draft 2020-12, as generated from the author's zod schema. */
const jsonSchema = z.record(z.string(), z.unknown());

/** One retry layer: the engine's. Exponential with full jitter. */
export const retryPolicy = z.object({
  attemptsMax: z.number().int().positive().max(1_000),
  initialDelayMs: z.number().int().nonnegative(),
  factor: z.number().min(1).max(10),
  delayMaxMs: z.number().int().nonnegative(),
  /** Codes of errors that no other attempt would mend. */
  nonRetryable: z.array(z.string().min(1).max(200)).max(100).optional(),
});
export type RetryPolicy = z.infer<typeof retryPolicy>;

/** Bounds of one use of a tool, beside the time limit of an attempt. */
export const toolTimeouts = z.object({
  /** From when an attempt is due until it is begun. */
  scheduleToStartMs: z.number().int().positive().optional(),
  /** Between two signs of life of an attempt. Kept by the worker. */
  heartbeatMs: z.number().int().positive().optional(),
  /** From the intention: no attempt begins later. */
  totalMs: z.number().int().positive().optional(),
});
export type ToolTimeouts = z.infer<typeof toolTimeouts>;

/** A use of the tool is a run of its own, which its model starts and is given the end of. */
export const childTool = z.object({
  /** The agent or workflow. */
  name: displayName,
  pool: nameToken.optional(),
  deadlineMs: z.number().int().positive().optional(),
  parentClose: z.enum(['cancel', 'request', 'abandon']),
});
export type ChildTool = z.infer<typeof childTool>;

/** A use of the tool is a question to a person, in the words of the model: the contract of runs says what these mean. */
export const askTool = z.object({
  /** JSON Schema of the answer. */
  form: jsonSchema,
  assignee: z.string().regex(/^(user|role):[A-Za-z0-9_-]{1,64}$/),
  dueMs: z.number().int().nonnegative().optional(),
  remindMs: z.array(z.number().int().nonnegative()).max(20).optional(),
  escalate: z
    .array(z.object({ afterMs: z.number().int().nonnegative(), to: z.string().max(70) }))
    .max(10)
    .optional(),
  expires: z
    .object({
      afterMs: z.number().int().nonnegative(),
      action: z.enum(['answer', 'fail', 'continue']),
      answer: z.unknown().optional(),
    })
    .optional(),
});
export type AskTool = z.infer<typeof askTool>;

export const toolManifest = z.object({
  name: displayName,
  effectClass: z.enum(['pure', 'idempotent', 'probeable', 'irreversible']),
  timeoutMs: z.number().int().positive(),
  retry: retryPolicy,
  inputSchema: jsonSchema,
  /** Its destination can be asked whether an execution happened. Builds of earlier versions do not say. */
  hasProbe: z.boolean().optional(),
  /** Executed by workers of this pool, whoever holds the run; absent: by the worker that holds it. */
  pool: nameToken.optional(),
  /** With `pool`: this build only names the tool and does not execute it. What it says of it binds nobody. */
  declaredOnly: z.boolean().optional(),
  /** Its worker runs it with a grant only, whatever the policies of the tenant say. */
  approval: z.literal('required').optional(),
  timeouts: toolTimeouts.optional(),
  /** It declares what undoes a use of it. */
  compensation: z
    .object({
      effectClass: z.enum(['pure', 'idempotent', 'irreversible']),
      timeoutMs: z.number().int().positive(),
      retry: retryPolicy,
    })
    .optional(),
  /** Only of agents: nobody executes it. */
  child: childTool.optional(),
  /** As `child`. */
  ask: askTool.optional(),
  /** What becomes of a use whose attempts are exhausted. Absent: it fails with the error of the last one. */
  onExhausted: z.enum(['fail', 'dead-letter']).optional(),
});
export type ToolManifest = z.infer<typeof toolManifest>;

const count = z.number().int().positive();

/** What a run may use up before its author wants to be asked. */
export const behaviourLimits = z.object({
  turnsMax: count.max(1_000_000).default(100),
  toolCallsMax: count.optional(),
  tokensMax: count.optional(),
  costMicroUsdMax: count.optional(),
  /** Becomes the deadline of a run that is started without one. */
  wallTimeMs: count.optional(),
  /** Builds of earlier versions do not say: their runs fail. */
  onLimit: z.enum(['pause', 'fail']).optional(),
});

/** When an agent counts as going in circles; what is left out is the engine's to say, and 0 is never. */
export const loopGuard = z.object({
  /** The same result of the same tool for the same arguments, among the newest results. */
  repeatsMax: z.number().int().nonnegative().max(20).optional(),
  /** Turns in a row that brought no new result. */
  barrenTurnsMax: z.number().int().nonnegative().max(1_000).optional(),
  /** Turns in a row in which every tool that was asked for does not exist or was given arguments that do not fit. */
  mistakesMax: z.number().int().nonnegative().max(1_000).optional(),
  /** Answers in a row that do not fit the form of the output. */
  invalidOutputsMax: z.number().int().nonnegative().max(1_000).optional(),
});
export type LoopGuard = z.infer<typeof loopGuard>;

/** An agent or a workflow, as the engine needs to know it. */
export const behaviourManifest = z.object({
  name: displayName,
  kind: z.enum(['agent', 'workflow']),
  pool: nameToken,
  inputSchema: jsonSchema.optional(),
  /** Agents: the tools its model may call. */
  tools: z.array(displayName).max(500).default([]),
  model: z.string().max(200).default(''),
  /** Agents: others that a run may be forked with. */
  otherModels: z.array(z.string().max(200)).max(50).optional(),
  modelRetry: retryPolicy.optional(),
  limits: behaviourLimits.default({ turnsMax: 100 }),
  guard: loopGuard.optional(),
  /** Agents: the form of the output; without it the output is the text of the model. */
  outputSchema: jsonSchema.optional(),
});
export type BehaviourManifest = z.infer<typeof behaviourManifest>;

/** Builds that one build may take the runs of: a few deployments back, and small enough for every heartbeat. */
export const COMPATIBLE_BUILDS_MAX = 20;

/** What one build of a worker's code offers. */
export const buildManifest = z.object({
  buildId: nameToken,
  /** Its author says that runs of these builds replay under it. Builds of earlier versions do not say. */
  compatibleWith: z.array(nameToken).max(COMPATIBLE_BUILDS_MAX).optional(),
  behaviours: z.array(behaviourManifest).max(1_000),
  tools: z.array(toolManifest).max(2_000),
});
export type BuildManifest = z.infer<typeof buildManifest>;

export const tenantEventSchemas = {
  BuildRegistered: z.object({ manifest: buildManifest, manifestHash: z.string(), registeredAtMs: z.number() }),
  ApprovalPolicySet: signedChange,
  ApprovalPolicyRemoved: signedChange,
  ApproverEnrolled: signedChange,
  ApproverRevoked: signedChange,
} as const;
export type BuildRegistered = {
  readonly type: 'BuildRegistered';
  readonly data: z.infer<typeof tenantEventSchemas.BuildRegistered>;
};

export const tenantCommand = z.discriminatedUnion('type', [
  /** Idempotent by build id: the same manifest again changes nothing, another one under the same id is refused. */
  z.object({ type: z.literal('RegisterBuild'), manifest: buildManifest }),
  z.object({ type: z.literal('ListBuilds') }),
  /** From the signer alone: what it has not signed is refused. */
  z.object({ type: z.literal('ChangeApprovals'), signed: signedChange }),
]);
export type TenantCommand = z.infer<typeof tenantCommand>;

export const tenantEnvelope = z.object({
  v: z.literal(1),
  id: z.uuid(),
  actor: z.object({ kind: z.enum(['user', 'worker', 'service']), id: z.string().min(1).max(200) }),
  command: tenantCommand,
});
export type TenantEnvelope = z.infer<typeof tenantEnvelope>;
