import { Controller, Get, Inject, Param, Query } from '@nestjs/common';
import { ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { RunReader } from '@perdure/run-application';
import type { RecordedRun } from '@perdure/run-contract';
import { StoredBuildCatalogue } from '@perdure/tenant-application';
import { LiveQuery, LiveRunsDto, RecordedRunDto } from './builds.dto';
import { RefusedDto, TenantQuery } from './requests.dto';
import { RunDirectory } from './run-directory';
import { addressOf } from './run-requests';

/** What a deploy check needs: every live run, as another build would find it. */
@ApiTags('builds')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1')
export class DeployController {
  constructor(
    @Inject(RunReader) private readonly reader: RunReader,
    @Inject(RunDirectory) private readonly directory: RunDirectory,
    @Inject(StoredBuildCatalogue) private readonly builds: StoredBuildCatalogue,
  ) {}

  @Get('live-runs')
  @ApiOperation({ summary: 'All live runs in the order of their ids, page by page: those after a run id.' })
  @ApiOkResponse({ type: LiveRunsDto })
  live(@Query() query: LiveQuery): LiveRunsDto {
    const runs = this.directory.live(query).map(({ runId, kind, name, status, buildId }) => ({
      runId,
      kind,
      name,
      status,
      ...(buildId === undefined ? {} : { buildId }),
    }));
    const last = runs.at(-1);
    return {
      complete: this.directory.isComplete,
      runs,
      ...(last === undefined || runs.length < query.limit ? {} : { next: last.runId }),
    };
  }

  @Get('runs/:runId/recorded')
  @ApiOperation({ summary: 'A live run as another build would find it: input, what its code was given, what is open.' })
  @ApiOkResponse({ type: RecordedRunDto })
  async recorded(@Param('runId') runId: string, @Query() { tenant }: TenantQuery): Promise<RecordedRun> {
    const run = await this.reader.recorded(addressOf(tenant, runId));
    if (run.kind === 'workflow') return run;
    const behaviour = await this.builds.behaviour(tenant, run.name);
    return { ...run, ...(behaviour === undefined ? {} : { turnsMax: behaviour.limits.turnsMax }) };
  }
}
