import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { ApprovalReader } from './approval-reader';
import { ApprovalDto, ApprovalsDto, ApprovalsQuery, DecideBody, EditBody } from './approvals.dto';
import { RefusedDto, TenantQuery } from './requests.dto';
import { addressOf } from './run-requests';
import { SignerRequests } from './signer-requests';

type Decided = { readonly runId: string; readonly call: string };

@ApiTags('approvals')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/approvals')
export class ApprovalsController {
  constructor(
    @Inject(ApprovalReader) private readonly approvals: ApprovalReader,
    @Inject(SignerRequests) private readonly signer: SignerRequests,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Effects that need an approval; those that have waited for longest first.' })
  @ApiOkResponse({ type: ApprovalsDto })
  list(@Query() query: ApprovalsQuery): ApprovalsDto {
    return { complete: this.approvals.isComplete, approvals: [...this.approvals.list(query)] };
  }

  @Get(':runId/:call')
  @ApiOperation({ summary: 'One of them, with all that a decision is about.' })
  @ApiOkResponse({ type: ApprovalDto })
  get(@Param('runId') runId: string, @Param('call') call: string, @Query() query: TenantQuery): Promise<ApprovalDto> {
    return this.approvals.get(addressOf(query.tenant, runId), call);
  }

  @Post(':runId/:call/approve')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Agree to an effect as it is intended.' })
  async approve(@Param('runId') runId: string, @Param('call') call: string, @Body() body: DecideBody): Promise<Decided> {
    const { tenant, ...who } = body;
    await this.signer.decide(tenant, { ...who, runId, call, decision: 'approve' });
    return { runId, call };
  }

  @Post(':runId/:call/deny')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Refuse an effect: it fails, and the agent is told why.' })
  async deny(@Param('runId') runId: string, @Param('call') call: string, @Body() body: DecideBody): Promise<Decided> {
    const { tenant, ...who } = body;
    await this.signer.decide(tenant, { ...who, runId, call, decision: 'deny' });
    return { runId, call };
  }

  @Post(':runId/:call/edit')
  @HttpCode(HttpStatus.ACCEPTED)
  @ApiOperation({ summary: 'Agree to an effect with other arguments, which are executed in the place of those intended.' })
  async edit(@Param('runId') runId: string, @Param('call') call: string, @Body() body: EditBody): Promise<Decided> {
    const { tenant, args = null, ...who } = body;
    await this.signer.decide(tenant, { ...who, runId, call, decision: 'approve', args });
    return { runId, call };
  }
}
