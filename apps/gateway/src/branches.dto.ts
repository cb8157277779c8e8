import { nameToken, rewindAnswer, runStateView, STATE_ITEMS_MAX, userValue } from '@perdure/run-contract';
import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { TENANT_DEFAULT } from './requests.dto';

const tenant = nameToken.default(TENANT_DEFAULT);
const revision = z.number().int().min(0);

export class StateQuery extends createZodDto(
  z.object({
    tenant,
    at: z.coerce.number().int().min(0).optional().describe('After this revision; by default as it is.'),
    journalFrom: z.coerce.number().int().min(0).optional().describe('The first journal item; by default the newest page.'),
    journalLimit: z.coerce.number().int().min(0).max(STATE_ITEMS_MAX).default(50),
  }),
) {}

export class ForkBody extends createZodDto(
  z.object({
    at: revision
      .optional()
      .describe('The last revision that is copied; by default the last before the decision that ended the run.'),
    input: userValue.optional().describe('Instead of its input; of a workflow only before its first call.'),
    buildId: nameToken.optional().describe('Pins it to this build; without one any build that hosts it may take it.'),
    model: z.string().min(1).max(200).optional().describe('Of an agent: another one of those that it is declared with.'),
    idempotencyKey: z.string().min(1).max(500).optional().describe('The same key again finds the first fork.'),
    tenant,
  }),
) {}

export class RewindBody extends createZodDto(
  z.object({
    to: revision.optional().describe('The last revision that still holds.'),
    turn: z.number().int().positive().optional().describe('Of an agent: its model is asked for this turn again.'),
    dryRun: z.boolean().default(false).describe('Only say what was done outside since.'),
    reason: z.string().max(2_000).optional(),
    tenant,
  }),
) {}

export class RunStateDto extends createZodDto(runStateView) {}
export class RewoundDto extends createZodDto(rewindAnswer) {}
export class ForkedDto extends createZodDto(
  z.object({
    runId: nameToken,
    forked: z.literal(true),
    source: z.object({ runId: nameToken, revision: revision.optional().describe('Absent when the key had forked it before.') }),
  }),
) {}
