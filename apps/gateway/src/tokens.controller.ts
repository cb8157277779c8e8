import type { ServerResponse } from 'node:http';
import { Controller, Get, Headers, Inject, Param, Query, Res } from '@nestjs/common';
import { ApiDefaultResponse, ApiOperation, ApiProduces, ApiTags } from '@nestjs/swagger';
import { RefusedDto, TenantQuery } from './requests.dto';
import { addressOf } from './run-requests';
import { TokenStreams } from './token-streams';

interface Reply {
  readonly raw: ServerResponse;
  hijack(): void;
}

@ApiTags('facts')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/runs/:runId')
export class TokensController {
  constructor(@Inject(TokenStreams) private readonly tokens: TokenStreams) {}

  @Get('tokens')
  @ApiOperation({
    summary:
      'The text of the model calls of a run as it comes, as server-sent events, until it ends: text, reset, completed, rewound. Last-Event-ID goes on after that event.',
  })
  @ApiProduces('text/event-stream')
  async stream(
    @Param('runId') runId: string,
    @Query() { tenant }: TenantQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    @Res() reply: Reply,
  ): Promise<void> {
    await this.tokens.stream(addressOf(tenant, runId), lastEventId, () => {
      reply.hijack();
      return reply.raw;
    });
  }
}
