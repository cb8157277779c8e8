import { createZodDto } from 'nestjs-zod';
import { displayName, nameToken, recordedRun } from '@perdure/run-contract';
import { z } from 'zod';
import { TENANT_DEFAULT } from './requests.dto';

export class RepinBody extends createZodDto(
  z.object({
    buildId: nameToken.describe('A registered build that hosts the workflow: see /v1/builds.'),
    reason: z.string().max(2_000).optional(),
    tenant: nameToken.default(TENANT_DEFAULT),
  }),
) {}

const LIVE_MAX = 1_000;

export class LiveQuery extends createZodDto(
  z.object({
    tenant: nameToken.default(TENANT_DEFAULT),
    buildId: nameToken.optional().describe('Only those that are pinned to it.'),
    after: z.string().max(64).default(''),
    limit: z.coerce.number().int().positive().max(LIVE_MAX).default(LIVE_MAX),
  }),
) {}

export class LiveRunsDto extends createZodDto(
  z.object({
    complete: z.boolean().describe('False while the gateway still reads the log after its start.'),
    runs: z.array(
      z.object({ runId: nameToken, kind: z.string(), name: displayName, status: z.string(), buildId: nameToken.optional() }),
    ),
    next: nameToken.optional().describe('`after` of the next page; absent at the end.'),
  }),
) {}
export class RecordedRunDto extends createZodDto(recordedRun) {}

export const buildLine = z.object({
  buildId: nameToken,
  registeredAtMs: z.number(),
  hosts: z.array(displayName),
  newestFor: z.array(displayName).describe('What it hosts and no newer build does.'),
  compatibleWith: z.array(nameToken).describe('Builds whose runs it takes over.'),
  workers: z.array(z.object({ workerId: nameToken, pool: nameToken, draining: z.boolean() })).describe('Those that live.'),
  runs: z.number().int().describe('Live runs that are pinned to it.'),
  standing: z
    .enum(['current', 'draining', 'stranded', 'drained'])
    .describe('stranded: runs wait for it, and no live worker takes them. drained: nothing needs it any more.'),
});
export type BuildLine = z.infer<typeof buildLine>;

export class BuildsDto extends createZodDto(
  z.object({
    complete: z.boolean().describe('False while the gateway still reads the log, or has not heard every worker yet.'),
    builds: z.array(buildLine),
  }),
) {}
