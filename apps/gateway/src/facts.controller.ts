import type { ServerResponse } from 'node:http';
import { Controller, Get, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import { ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import { FactReader } from './fact-stream';
import { EventsQuery, FactPageDto, RefusedDto, StreamQuery } from './requests.dto';
import { addressOf } from './run-requests';

interface Reply {
  readonly raw: ServerResponse;
  hijack(): void;
}

@ApiTags('facts')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/runs/:runId')
export class FactsController {
  constructor(@Inject(FactReader) private readonly facts: FactReader) {}

  @Get('events')
  @ApiOperation({ summary: 'The facts of a run, page by page, as the log has them.' })
  @ApiOkResponse({ type: FactPageDto })
  page(@Param('runId') runId: string, @Query() { tenant, from, limit }: EventsQuery): Promise<FactPageDto> {
    return this.facts.page(addressOf(tenant, runId), { from, limit });
  }

  @Get('stream')
  @ApiOperation({
    summary: 'The facts of a run as server-sent events, until it ends; Last-Event-ID goes on after that revision.',
  })
  @ApiProduces('text/event-stream')
  async stream(
    @Param('runId') runId: string,
    @Query() { tenant, from }: StreamQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() reply: Reply,
  ): Promise<void> {
    const wanted = /^\d{1,15}$/.test(lastEventId ?? '') ? Number(lastEventId) : (from ?? 0) - 1;
    await this.facts.stream(addressOf(tenant, runId), wanted < 0 ? 'start' : wanted, () => {
      reply.hijack();
      return reply.raw;
    });
  }
}
