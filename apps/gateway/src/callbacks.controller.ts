import { Body, Controller, HttpCode, HttpStatus, Inject, Param, Post } from '@nestjs/common';
import { ApiDefaultResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { callbackToken } from '@perdure/run-contract';
import { CallbackBody, RefusedDto } from './requests.dto';
import { RunRequests } from './run-requests';

@ApiTags('callbacks')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/callbacks/:token')
export class CallbacksController {
  constructor(@Inject(RunRequests) private readonly runs: RunRequests) {}

  @Post()
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Answer a callback that a run has given away: once, with a result or an error.' })
  async answer(@Param('token') token: string, @Body() { result, error }: CallbackBody): Promise<{ readonly runId: string }> {
    const { address, name } = callbackToken.parse(token);
    const payload = error === undefined ? { result: result ?? null } : { error: { ...error, reaction: 'terminal' } };
    await this.runs.signal(address, { name, payload });
    return { runId: address.runId };
  }
}
