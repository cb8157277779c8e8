import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Terminal } from '@perdure/kernel';
import type { RunAddress } from '@perdure/run-contract';
import { ApprovalInbox } from './approval-inbox';
import { ApprovalDto, ApprovalsDto, ApprovalsQuery, DecideBody, EditBody } from './approvals.dto';
import { FactReader } from './fact-stream';
import { RefusedDto, TenantQuery } from './requests.dto';
import { addressOf } from './run-requests';
import { SignerRequests } from './signer-requests';

type Decided = { readonly runId: string; readonly call: string };

@ApiTags('approvals')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1/approvals')
export class ApprovalsController {
  constructor(
    @Inject(ApprovalInbox) private readonly inbox: ApprovalInbox,
    @Inject(SignerRequests) private readonly signer: SignerRequests,
    @Inject(FactReader) private readonly facts: FactReader,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Effects that need an approval; those that have waited for longest first.' })
  @ApiOkResponse({ type: ApprovalsDto })
  list(@Query() query: ApprovalsQuery): ApprovalsDto {
    const { tenant, status, role, limit } = query;
    const only = { ...(status === undefined ? {} : { status }), ...(role === undefined ? {} : { role }) };
    const approvals = this.inbox.list({ tenant, limit, ...only });
    return { complete: this.inbox.isComplete, approvals: approvals as unknown as ApprovalsDto['approvals'] };
  }

  @Get(':runId/:call')
  @ApiOperation({ summary: 'One of them, with all that a decision is about.' })
  @ApiOkResponse({ type: ApprovalDto })
  async get(@Param('runId') runId: string, @Param('call') call: string, @Query() query: TenantQuery): Promise<ApprovalDto> {
    const address = addressOf(query.tenant, runId);
    const line = this.inbox.find({ ...address, call });
    if (line === undefined)
      throw new Terminal('NoSuchApproval', `Nobody is asked to approve ${call} of the run ${runId}. See /v1/approvals.`);
    return { ...line, args: await this.argsOf(address, line) } as unknown as ApprovalDto;
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

  /** The intention stands before the request, in the same append. */
  private async argsOf(address: RunAddress, line: { readonly requestRevision: number; readonly call: string }): Promise<unknown> {
    const { facts } = await this.facts.page(address, { from: line.requestRevision - 1, limit: 1 });
    const { call, args } = (facts[0]?.data ?? {}) as { readonly call?: string; readonly args?: unknown };
    return call === line.call ? (args ?? null) : null;
  }
}
