import { z } from 'zod';

/** User data: opaque JSON, only its size is looked at. */
export const userValue = z.unknown();

export const nameToken = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/, '1 to 64 letters, digits, "_" or "-"');

/** Names of agents, workflows, tools, steps: for people, so wider than a token. */
export const displayName = z.string().min(1).max(200);

/** Position of a call in a run's code or conversation: its identity, never derived from the model's text. */
export const callId = z.string().min(1).max(200);

/** A sleep's timer has the id of its call; the engine's own have longer ones: `retry-<call>-<attempt>`, `start-…`, `total-…`, `probe-<call>-<attempt>-<probe>`, `approval-<call>-…`. */
export const timerId = z.string().min(1).max(240);

export const errorRecord = z.object({
  code: z.string().min(1).max(200),
  message: z.string().max(20_000),
  reaction: z.enum(['terminal', 'retryable', 'cancelled', 'suspended']),
  retryAfterMs: z.number().int().nonnegative().optional(),
  details: z.record(z.string(), z.unknown()).optional(),
});

/** How a step, a tool or a wait ended. */
export const outcome = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), value: userValue }),
  z.object({ ok: z.literal(false), error: errorRecord }),
]);
export type Outcome = z.infer<typeof outcome>;

export const effectClass = z.enum(['pure', 'idempotent', 'probeable', 'irreversible']);
export type EffectClass = z.infer<typeof effectClass>;

/** One try at an effect, told apart from every other. */
export const executionId = z.string().min(1).max(100);

export const runKind = z.enum(['agent', 'workflow']);
export type RunKind = z.infer<typeof runKind>;

export const actor = z.object({ kind: z.enum(['user', 'worker', 'service']), id: z.string().min(1).max(200) });

export const toolCall = z.object({
  toolCallId: z.string().min(1).max(200),
  tool: displayName,
  args: userValue,
});
export type ToolCall = z.infer<typeof toolCall>;

export const usage = z.object({
  inputTokens: z.number().int().nonnegative().default(0),
  outputTokens: z.number().int().nonnegative().default(0),
  /** Of the input: read from the provider's cache. */
  cachedInputTokens: z.number().int().nonnegative().optional(),
  /** Of the output: not shown. */
  reasoningTokens: z.number().int().nonnegative().optional(),
});

/** What one call of a model cost, in millionths of a US dollar, and who says so. */
export const modelCost = z.object({
  microUsd: z.number().int().nonnegative(),
  source: z.enum(['provider', 'prices']),
});
export type ModelCost = z.infer<typeof modelCost>;

/** What the model decided in one turn: the fact, not the transport. */
export const modelDecision = z.object({
  text: z.string(),
  toolCalls: z.array(toolCall).max(256),
  finishReason: z.string().max(100),
  usage,
  provider: z.string().max(200),
  modelVersion: z.string().max(200),
  promptHash: z.string().max(128),
  cost: modelCost.optional(),
  /** Where an output of a certain form was asked for: the answer in that form, … */
  output: userValue.optional(),
  /** … or what is wrong with the answer. */
  outputProblem: z.string().max(4_000).optional(),
});
export type ModelDecision = z.infer<typeof modelDecision>;

/** A delivery to a workflow's code, in the order in which the code was given it. */
export const journalEntry = z.discriminatedUnion('type', [
  /** The result of a local function, executed by the worker. */
  z.object({ type: z.literal('step'), call: callId, name: displayName, outcome }),
  /** A value that the code asked of its surroundings: time, chance, an id, a version. */
  z.object({ type: z.literal('value'), call: callId, name: displayName, value: userValue }),
  /** A fact of the stream (a timer that fired …), by its revision. */
  z.object({ type: z.literal('delivered'), call: callId, revision: z.number().int().nonnegative() }),
]);
export type JournalEntry = z.infer<typeof journalEntry>;

/** Where and how code and journal disagree. */
export const divergence = z.object({
  call: callId,
  expected: z.string().max(2_000),
  found: z.string().max(2_000),
  position: z.number().int().nonnegative(),
});
export type Divergence = z.infer<typeof divergence>;
