import { displayName, errorRecord, nameToken } from '@perdure/run-contract';
import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { TENANT_DEFAULT } from './requests.dto';

/** Asked and re-driven at once: each is one append of its run. */
const DEAD_LETTERS_MAX = 1_000;

const tenant = nameToken.default(TENANT_DEFAULT);
const said = {
  reason: z.string().max(2_000).optional(),
  by: z.string().min(1).max(200).default('gateway').describe('Who says so: recorded with it.'),
  tenant,
};

export class DeadLettersQuery extends createZodDto(
  z.object({
    tenant,
    tool: displayName.optional(),
    limit: z.coerce.number().int().positive().max(DEAD_LETTERS_MAX).default(100),
  }),
) {}

export class DeadLetterBody extends createZodDto(z.object(said)) {}

export class RedriveBody extends createZodDto(
  z.object({
    ...said,
    tool: displayName.optional().describe('Only those of this tool; without it, all.'),
    limit: z.number().int().positive().max(DEAD_LETTERS_MAX).default(DEAD_LETTERS_MAX),
  }),
) {}

export class DeadLettersDto extends createZodDto(
  z.object({
    complete: z.boolean().describe('False while the gateway still reads the log after its start.'),
    deadLetters: z.array(
      z.object({
        tenant: nameToken,
        runId: nameToken,
        call: z.string(),
        tool: z.string(),
        effectClass: z.string(),
        attempt: z.number(),
        because: z.string(),
        errorCode: z.string(),
        deadLetteredAtMs: z.number(),
      }),
    ),
  }),
) {}

export class RedrivenDto extends createZodDto(
  z.object({
    redriven: z.number(),
    results: z.array(z.object({ runId: nameToken, call: z.string(), redriven: z.boolean(), error: errorRecord.optional() })),
  }),
) {}
