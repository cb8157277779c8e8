import { Body, Controller, HttpCode, HttpStatus, Inject, Post } from '@nestjs/common';
import { ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { nameToken, displayName, userValue } from '@perdure/run-contract';
import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { BulkActions, BULK_RUNS_MAX, BULK_VERBS, type BulkReport } from './bulk-actions';
import { RefusedDto, TENANT_DEFAULT } from './requests.dto';

export class BulkBody extends createZodDto(
  z.object({
    verb: z.enum(BULK_VERBS),
    filter: z
      .object({
        status: z.enum(['queued', 'active', 'suspended', 'paused']).optional(),
        name: displayName.optional().describe('Of the agent or workflow.'),
        olderThanMs: z.number().int().min(0).optional().describe('Requested so long ago, or longer.'),
      })
      .refine((filter) => Object.values(filter).some((value) => value !== undefined), 'say at least one thing of the runs'),
    reason: z.string().max(2_000).optional(),
    signal: z.object({ name: nameToken, payload: userValue.optional() }).optional().describe('With the verb signal.'),
    dryRun: z.boolean().default(false).describe('Only say which runs are meant.'),
    id: z.uuidv7().optional().describe('The same id again does nothing to a run that it has been done to.'),
    limit: z.number().int().positive().max(BULK_RUNS_MAX).default(BULK_RUNS_MAX),
    tenant: nameToken.default(TENANT_DEFAULT),
  }),
) {}

export class BulkReportDto extends createZodDto(
  z.object({
    id: z.string(),
    dryRun: z.boolean(),
    complete: z.boolean().describe('False while the gateway still reads the log after its start: some runs are not known yet.'),
    matched: z.number().describe('Open runs that fit, before the limit.'),
    results: z.array(
      z.object({
        runId: nameToken,
        name: z.string(),
        did: z.enum(['done', 'refused', 'not-tried']),
        code: z.string().optional(),
        message: z.string().optional(),
      }),
    ),
  }),
) {}

@ApiTags('runs')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/runs/bulk')
export class BulkController {
  constructor(@Inject(BulkActions) private readonly bulk: BulkActions) {}

  @Post()
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ summary: 'Pause, resume, cancel, terminate or signal all open runs that fit a filter; each is reported.' })
  @ApiOkResponse({ type: BulkReportDto })
  act(@Body() { filter, reason, signal, id, ...rest }: BulkBody): Promise<BulkReport> {
    return this.bulk.act({
      ...rest,
      filter: {
        ...(filter.status === undefined ? {} : { status: filter.status }),
        ...(filter.name === undefined ? {} : { name: filter.name }),
        ...(filter.olderThanMs === undefined ? {} : { olderThanMs: filter.olderThanMs }),
      },
      ...(reason === undefined ? {} : { reason }),
      ...(signal === undefined ? {} : { signal: { name: signal.name, payload: signal.payload ?? null } }),
      ...(id === undefined ? {} : { id }),
    });
  }
}
