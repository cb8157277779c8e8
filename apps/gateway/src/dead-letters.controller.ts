import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { errorRecordOf } from '@perdure/kernel';
import { DeadLetterDirectory, type DeadLetter } from './dead-letter-directory';
import { DeadLetterBody, DeadLettersDto, DeadLettersQuery, RedriveBody, RedrivenDto } from './dead-letters.dto';
import { RefusedDto } from './requests.dto';
import { addressOf, RunRequests } from './run-requests';

/** Re-drives under way at once: each waits for an append, and other callers want to be answered too. */
const REDRIVES_AT_ONCE = 16;

interface Named {
  readonly runId: string;
  readonly call: string;
}

@ApiTags('dead letters')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1')
export class DeadLettersController {
  constructor(
    @Inject(RunRequests) private readonly runs: RunRequests,
    @Inject(DeadLetterDirectory) private readonly directory: DeadLetterDirectory,
  ) {}

  @Get('dead-letters')
  @ApiOperation({ summary: 'Effects whose attempts are exhausted and that wait for a person; oldest first.' })
  @ApiOkResponse({ type: DeadLettersDto })
  list(@Query() { tenant, tool, limit }: DeadLettersQuery): DeadLettersDto {
    const deadLetters = [...this.directory.list({ tenant, limit, ...(tool === undefined ? {} : { tool }) })];
    return { complete: this.directory.isComplete, deadLetters };
  }

  @Post('dead-letters/redrive')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Have the dead letters of one tool, or all, tried again; says what became of each.' })
  @ApiOkResponse({ type: RedrivenDto })
  async redriveAll(@Body() { tenant, tool, limit, reason, by }: RedriveBody): Promise<RedrivenDto> {
    const waiting = [...this.directory.list({ tenant, limit, ...(tool === undefined ? {} : { tool }) })];
    const results: RedrivenDto['results'] = [];
    const next = async (): Promise<void> => {
      for (let letter = waiting.shift(); letter !== undefined; letter = waiting.shift())
        results.push(await this.tried(letter, { by, ...(reason === undefined ? {} : { reason }) }));
    };
    await Promise.all(Array.from({ length: REDRIVES_AT_ONCE }, next));
    return { redriven: results.filter(({ redriven }) => redriven).length, results };
  }

  @Post('runs/:runId/effects/:call/redrive')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Have an effect in the dead letters tried again: a new series of attempts.' })
  async redrive(@Param('runId') runId: string, @Param('call') call: string, @Body() body: DeadLetterBody): Promise<Named> {
    return this.decide('RedriveEffect', { runId, call }, body);
  }

  @Post('runs/:runId/effects/:call/fail')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Give an effect in the dead letters up: the code, or the model, is given the error.' })
  async fail(@Param('runId') runId: string, @Param('call') call: string, @Body() body: DeadLetterBody): Promise<Named> {
    return this.decide('GiveUpEffect', { runId, call }, body);
  }

  private async decide(type: 'RedriveEffect' | 'GiveUpEffect', { runId, call }: Named, body: DeadLetterBody): Promise<Named> {
    const { tenant, reason, by } = body;
    await this.runs.decideDeadLetter(addressOf(tenant, runId), type, { call, by, ...(reason === undefined ? {} : { reason }) });
    return { runId, call };
  }

  private async tried(
    { tenant, runId, call }: DeadLetter,
    said: { readonly by: string; readonly reason?: string },
  ): Promise<RedrivenDto['results'][number]> {
    try {
      await this.runs.decideDeadLetter(addressOf(tenant, runId), 'RedriveEffect', { call, ...said });
      return { runId, call, redriven: true };
    } catch (error) {
      return { runId, call, redriven: false, error: errorRecordOf(error) };
    }
  }
}
