import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { RunExplanation, RunView } from '@perdure/run-contract';
import {
  AwaitQuery,
  ListQuery,
  ReasonBody,
  RefusedDto,
  ResumeBody,
  RunExplanationDto,
  RunListDto,
  RunViewDto,
  StartedDto,
  StartRunBody,
  TenantQuery,
} from './requests.dto';
import { RunDirectory } from './run-directory';
import { addressOf, RunRequests } from './run-requests';

interface Reply {
  status(code: number): unknown;
}

@ApiTags('runs')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/runs')
export class RunsController {
  constructor(
    @Inject(RunRequests) private readonly runs: RunRequests,
    @Inject(RunDirectory) private readonly directory: RunDirectory,
  ) {}

  @Post()
  @ApiOperation({ summary: 'Start a run; with an idempotency key, at most once.' })
  @ApiCreatedResponse({ type: StartedDto })
  async start(@Body() body: StartRunBody, @Res({ passthrough: true }) reply: Reply): Promise<StartedDto> {
    const { tenant, name, input, idempotencyKey, deadlineMs, limits, pool, by } = body;
    const started = await this.runs.start({
      tenant,
      name,
      by,
      input: input ?? null,
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      ...(limits === undefined ? {} : { limits }),
      ...(pool === undefined ? {} : { pool }),
    });
    reply.status(started.started ? HttpStatus.CREATED : HttpStatus.OK);
    return started;
  }

  @Get()
  @ApiOperation({ summary: 'The open runs and the newest ended ones, newest first.' })
  @ApiOkResponse({ type: RunListDto })
  list(@Query() { tenant, status, limit }: ListQuery): RunListDto {
    const runs = this.directory.list({ tenant, limit, ...(status === undefined ? {} : { status }) });
    return { complete: this.directory.isComplete, runs: [...runs] };
  }

  @Get(':runId')
  @ApiOperation({ summary: 'How a run stands, and what it waits for.' })
  @ApiOkResponse({ type: RunViewDto })
  get(@Param('runId') runId: string, @Query() { tenant }: TenantQuery): Promise<RunView> {
    return this.runs.get(addressOf(tenant, runId));
  }

  @Get(':runId/why')
  @ApiOperation({ summary: 'Why a run is where it is: its open promises, who keeps them, their age, and what would close them.' })
  @ApiOkResponse({ type: RunExplanationDto })
  why(@Param('runId') runId: string, @Query() { tenant }: TenantQuery): Promise<RunExplanation> {
    return this.runs.why(addressOf(tenant, runId));
  }

  @Get(':runId/result')
  @ApiOperation({ summary: 'The run when it has ended (200), or as it stands after waitMs (202).' })
  @ApiOkResponse({ type: RunViewDto })
  async result(
    @Param('runId') runId: string,
    @Query() { tenant, waitMs }: AwaitQuery,
    @Res({ passthrough: true }) reply: Reply,
  ): Promise<RunView> {
    const view = await this.runs.awaitEnd(addressOf(tenant, runId), waitMs);
    reply.status(view.status === 'ended' ? HttpStatus.OK : HttpStatus.ACCEPTED);
    return view;
  }

  @Post(':runId/cancel')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Ask a run to end; what is in flight is told.' })
  async cancel(@Param('runId') runId: string, @Body() { tenant, reason }: ReasonBody): Promise<{ readonly runId: string }> {
    await this.runs.cancel(addressOf(tenant, runId), reason);
    return { runId };
  }

  @Post(':runId/pause')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Hold a run: what is under way is finished, nothing new begins until it is resumed.' })
  async pause(@Param('runId') runId: string, @Body() { tenant, reason }: ReasonBody): Promise<{ readonly runId: string }> {
    await this.runs.pause(addressOf(tenant, runId), reason);
    return { runId };
  }

  @Post(':runId/terminate')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'End a run at once, without telling its code; what was under way is named in its outcome.' })
  async terminate(@Param('runId') runId: string, @Body() { tenant, reason }: ReasonBody): Promise<{ readonly runId: string }> {
    await this.runs.terminate(addressOf(tenant, runId), reason);
    return { runId };
  }

  @Post(':runId/resume')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'End a pause, or take back the request for one; extends a limit that the run has used up.' })
  async resume(
    @Param('runId') runId: string,
    @Body() { tenant, reason, extend }: ResumeBody,
  ): Promise<{ readonly runId: string }> {
    await this.runs.resume(addressOf(tenant, runId), reason, extend);
    return { runId };
  }
}
