import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiCreatedResponse, ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { RewindAnswer, RunStateView } from '@perdure/run-contract';
import { ForkBody, ForkedDto, RewindBody, RewoundDto, RunStateDto, StateQuery } from './branches.dto';
import { RefusedDto } from './requests.dto';
import { addressOf, RunRequests } from './run-requests';

@ApiTags('runs')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/runs/:runId')
export class BranchesController {
  constructor(@Inject(RunRequests) private readonly runs: RunRequests) {}

  @Get('state')
  @ApiOperation({ summary: 'The folded state of a run, as it is or as it was after a revision.' })
  @ApiOkResponse({ type: RunStateDto })
  state(@Param('runId') runId: string, @Query() { tenant, at, journalFrom, journalLimit }: StateQuery): Promise<RunStateView> {
    return this.runs.state(addressOf(tenant, runId), {
      journalLimit,
      ...(at === undefined ? {} : { at }),
      ...(journalFrom === undefined ? {} : { journalFrom }),
    });
  }

  @Post('fork')
  @HttpCode(HttpStatus.CREATED)
  @ApiOperation({ summary: 'Start another run as a copy of this one, from a revision on; this one may have ended.' })
  @ApiCreatedResponse({ type: ForkedDto })
  fork(@Param('runId') runId: string, @Body() body: ForkBody): Promise<ForkedDto> {
    const { tenant, at, buildId, model, idempotencyKey } = body;
    return this.runs.fork(addressOf(tenant, runId), {
      ...(at === undefined ? {} : { at }),
      ...('input' in body ? { input: body.input } : {}),
      ...(buildId === undefined ? {} : { buildId }),
      ...(model === undefined ? {} : { model }),
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    });
  }

  @Post('rewind')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Go back to an earlier revision, or turn; what was done outside since stays done, and is listed.' })
  @ApiOkResponse({ type: RewoundDto })
  rewind(@Param('runId') runId: string, @Body() { tenant, to, turn, dryRun, reason }: RewindBody): Promise<RewindAnswer> {
    return this.runs.rewind(addressOf(tenant, runId), {
      dryRun,
      ...(to === undefined ? {} : { to }),
      ...(turn === undefined ? {} : { turn }),
      ...(reason === undefined ? {} : { reason }),
    });
  }
}
