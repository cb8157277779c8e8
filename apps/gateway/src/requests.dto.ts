import { createZodDto } from 'nestjs-zod';
import {
  displayName,
  limitExtension,
  nameToken,
  runExplanation,
  runLimits,
  runView,
  userValue,
  errorRecord,
  TIMER_DELAY_MS_MAX,
} from '@perdure/run-contract';
import { z } from 'zod';

const AWAIT_MS_MAX = 60_000;
const LIST_MAX = 1_000;
const EVENTS_MAX = 1_000;

export const TENANT_DEFAULT = 'default';
const tenant = nameToken.default(TENANT_DEFAULT);

export class StartRunBody extends createZodDto(
  z.object({
    name: displayName.describe('Name of a registered agent or workflow: see /v1/agents.'),
    input: userValue.describe('JSON that fits the input schema of the agent.'),
    idempotencyKey: z
      .string()
      .min(1)
      .max(500)
      .optional()
      .describe('The same key again finds the first run instead of starting another.'),
    deadlineMs: z.number().int().positive().max(TIMER_DELAY_MS_MAX).optional().describe('Limit of the whole run, from now.'),
    limits: runLimits.optional().describe('Instead of the limits that its author gave it.'),
    pool: nameToken.optional(),
    by: z
      .string()
      .min(1)
      .max(200)
      .default('gateway')
      .describe(
        'Who asks for the run: recorded with it. Under separation of duties this person may not approve of what the run does.',
      ),
    tenant,
  }),
) {}

export class TenantQuery extends createZodDto(z.object({ tenant })) {}

export class ReasonBody extends createZodDto(z.object({ reason: z.string().max(2_000).optional(), tenant })) {}

export class SignalBody extends createZodDto(
  z.object({
    name: nameToken.describe('What the code waits for, or what the model is told it is.'),
    payload: userValue.optional().describe('JSON of up to 32 KiB.'),
    id: z.uuidv7().optional().describe('The same id again is the same signal: it arrives once.'),
    tenant,
  }),
) {}

export class CallbackBody extends createZodDto(
  z
    .object({
      result: userValue.optional().describe('JSON of up to 32 KiB.'),
      error: z
        .object({
          code: z.string().min(1).max(200),
          message: z.string().max(20_000),
          details: z.record(z.string(), z.unknown()).optional(),
        })
        .optional()
        .describe('Instead of a result: what the code is given to catch.'),
    })
    .strict(),
) {}

export class ResumeBody extends createZodDto(
  z.object({
    reason: z.string().max(2_000).optional(),
    extend: limitExtension.optional().describe('Of a run that has used up a limit: so much more, beyond what it has used.'),
    tenant,
  }),
) {}

export class ResolveEffectBody extends createZodDto(
  z.object({
    resolution: z
      .enum(['happened', 'absent', 'failed'])
      .describe('absent: it may run again; failed: the code, or the model, is given an error.'),
    result: userValue.optional().describe('With happened: what the tool would have returned.'),
    reason: z.string().max(2_000).optional(),
    by: z.string().min(1).max(200).default('gateway').describe('Who says so: recorded with the answer.'),
    tenant,
  }),
) {}

export class EffectsQuery extends createZodDto(
  z.object({ tenant, limit: z.coerce.number().int().positive().max(LIST_MAX).default(100) }),
) {}

export class AwaitQuery extends createZodDto(
  z.object({ tenant, waitMs: z.coerce.number().int().min(0).max(AWAIT_MS_MAX).default(0) }),
) {}

export class ListQuery extends createZodDto(
  z.object({
    tenant,
    status: z
      .enum(['queued', 'active', 'suspended', 'paused', 'completed', 'failed', 'cancelled', 'timed-out', 'terminated', 'refused'])
      .optional(),
    limit: z.coerce.number().int().positive().max(LIST_MAX).default(50),
  }),
) {}

export class EventsQuery extends createZodDto(
  z.object({
    tenant,
    from: z.coerce.number().int().min(0).default(0).describe('The first revision that is wanted.'),
    limit: z.coerce.number().int().positive().max(EVENTS_MAX).default(200),
  }),
) {}

export class StreamQuery extends createZodDto(
  z.object({
    tenant,
    from: z.coerce
      .number()
      .int()
      .min(0)
      .optional()
      .describe('The first revision that is wanted; the header Last-Event-ID goes before it.'),
  }),
) {}

export class RunViewDto extends createZodDto(runView) {}
export class RunExplanationDto extends createZodDto(runExplanation) {}
export class StartedDto extends createZodDto(
  z.object({ runId: nameToken, started: z.boolean().describe('False when the key had started it before.') }),
) {}
export class RefusedDto extends createZodDto(z.object({ error: errorRecord })) {}
export class RunListDto extends createZodDto(
  z.object({
    complete: z.boolean().describe('False while the gateway still reads the log after its start.'),
    runs: z.array(
      z.object({
        runId: nameToken,
        tenant: nameToken,
        kind: z.string(),
        name: z.string(),
        status: z.string(),
        revision: z.number(),
        requestedAtMs: z.number(),
        changedAtMs: z.number(),
        workerId: z.string().optional(),
        epoch: z.number(),
        buildId: z.string().optional().describe('Workflows: the build that it is pinned to.'),
      }),
    ),
  }),
) {}
export class EffectQuestionsDto extends createZodDto(
  z.object({
    complete: z.boolean().describe('False while the gateway still reads the log after its start.'),
    questions: z.array(
      z.object({
        runId: nameToken,
        name: z.string(),
        call: z.string(),
        tool: z.string(),
        effectClass: z.string(),
        attempt: z.number(),
        executionId: z.string(),
        overByMs: z.number().describe('From then on it may be answered that it did not happen.'),
        because: z.string(),
        why: z.string(),
        askedAtMs: z.number(),
      }),
    ),
  }),
) {}
export class FactPageDto extends createZodDto(
  z.object({
    facts: z.array(
      z.object({ revision: z.number(), type: z.string(), atMs: z.number(), data: z.unknown(), metadata: z.unknown() }),
    ),
    next: z.number().optional().describe('`from` of the next page; absent at the end.'),
  }),
) {}
