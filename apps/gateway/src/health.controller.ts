import { Controller, Get, Inject, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { EventStore } from '@perdure/kernel';
import { EVENT_STORE } from '@perdure/platform-nest-runtime';
import { RunDirectory } from './run-directory';

interface Reply {
  status(code: number): unknown;
}

interface Health {
  readonly status: 'ok' | 'not-ready';
  readonly checks?: Readonly<Record<string, 'ok' | 'reading the log' | 'not answering'>>;
}

@ApiTags('health')
@Controller('health')
export class HealthController {
  constructor(
    @Inject(EVENT_STORE) private readonly store: EventStore,
    @Inject(RunDirectory) private readonly directory: RunDirectory,
  ) {}

  @Get('live')
  live(): Health {
    return { status: 'ok' };
  }

  @Get('ready')
  async ready(@Res({ passthrough: true }) reply: Reply): Promise<Health> {
    const answers = await this.store.readAll({ after: 'start', limit: 1 }).then(
      () => true,
      () => false,
    );
    const checks = {
      store: answers ? ('ok' as const) : ('not answering' as const),
      directory: this.directory.isComplete ? ('ok' as const) : ('reading the log' as const),
    };
    const ok = Object.values(checks).every((check) => check === 'ok');
    if (!ok) reply.status(503);
    return { status: ok ? 'ok' : 'not-ready', checks };
  }
}
