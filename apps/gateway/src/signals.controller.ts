import { Body, Controller, HttpCode, HttpStatus, Inject, Param, Post } from '@nestjs/common';
import { ApiDefaultResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { RefusedDto, SignalBody } from './requests.dto';
import { addressOf, RunRequests } from './run-requests';

@ApiTags('runs')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/runs/:runId/signals')
export class SignalsController {
  constructor(@Inject(RunRequests) private readonly runs: RunRequests) {}

  @Post()
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Send a run a signal: its code waits for it, or its model is shown it with its next turn.' })
  async signal(
    @Param('runId') runId: string,
    @Body() { tenant, name, payload, id }: SignalBody,
  ): Promise<{ readonly runId: string; readonly name: string }> {
    await this.runs.signal(addressOf(tenant, runId), { name, payload: payload ?? null, ...(id === undefined ? {} : { id }) });
    return { runId, name };
  }
}
