import { Controller, Get, Inject, Query } from '@nestjs/common';
import { ApiOperation, ApiTags } from '@nestjs/swagger';
import { StoredBuildCatalogue } from '@perdure/tenant-application';
import type { BehaviourManifest } from '@perdure/tenant-contract';
import { TenantQuery } from './requests.dto';

@ApiTags('agents')
@Controller('v1/agents')
export class AgentsController {
  constructor(@Inject(StoredBuildCatalogue) private readonly builds: StoredBuildCatalogue) {}

  @Get()
  @ApiOperation({ summary: 'The agents and workflows that workers have registered, as their newest build describes them.' })
  async list(@Query() { tenant }: TenantQuery): Promise<{ readonly agents: readonly BehaviourManifest[] }> {
    const agents = [...(await this.builds.behaviours(tenant))];
    return { agents: agents.sort((left, right) => (left.name < right.name ? -1 : 1)) };
  }
}
