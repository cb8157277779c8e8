import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { EffectQuestionsDto, EffectsQuery, RefusedDto, ResolveEffectBody } from './requests.dto';
import { RunDirectory } from './run-directory';
import { addressOf, RunRequests } from './run-requests';

@ApiTags('effects')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1')
export class EffectsController {
  constructor(
    @Inject(RunRequests) private readonly runs: RunRequests,
    @Inject(RunDirectory) private readonly directory: RunDirectory,
  ) {}

  @Get('effects')
  @ApiOperation({ summary: 'Effects of which nobody knows whether they happened, and that wait for an answer; oldest first.' })
  @ApiOkResponse({ type: EffectQuestionsDto })
  list(@Query() query: EffectsQuery): EffectQuestionsDto {
    return { complete: this.directory.isComplete, questions: [...this.directory.questions(query)] };
  }

  @Post('runs/:runId/effects/:call/resolve')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Say what became of an effect that is in question; its run goes on.' })
  async resolve(
    @Param('runId') runId: string,
    @Param('call') call: string,
    @Body() body: ResolveEffectBody,
  ): Promise<{ readonly runId: string; readonly call: string }> {
    const { tenant, resolution, result, reason, by } = body;
    await this.runs.resolveEffect(addressOf(tenant, runId), call, {
      resolution,
      by,
      ...(result === undefined ? {} : { result }),
      ...(reason === undefined ? {} : { reason }),
    });
    return { runId, call };
  }
}
