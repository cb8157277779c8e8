import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { BuildsDto, RepinBody } from './builds.dto';
import { BuildList } from './build-list';
import { RefusedDto, TenantQuery } from './requests.dto';
import { addressOf, RunRequests } from './run-requests';

@ApiTags('builds')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1')
export class BuildsController {
  constructor(
    @Inject(BuildList) private readonly builds: BuildList,
    @Inject(RunRequests) private readonly runs: RunRequests,
  ) {}

  @Get('builds')
  @ApiOperation({ summary: 'The builds that workers have registered: their live workers, and the live runs pinned to them.' })
  @ApiOkResponse({ type: BuildsDto })
  list(@Query() { tenant }: TenantQuery): Promise<BuildsDto> {
    return this.builds.of(tenant);
  }

  @Post('runs/:runId/repin')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Let another build go on with a workflow, from its next activation on.' })
  async repin(
    @Param('runId') runId: string,
    @Body() { tenant, buildId, reason }: RepinBody,
  ): Promise<{ readonly runId: string; readonly buildId: string }> {
    await this.runs.repin(addressOf(tenant, runId), buildId, reason);
    return { runId, buildId };
  }
}
