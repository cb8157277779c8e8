import { Body, Controller, Get, HttpCode, HttpStatus, Inject, Param, Post, Query } from '@nestjs/common';
import { ApiDefaultResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { ChangeAnswer } from '@perdure/approval-contract';
import { ApprovalBook } from '@perdure/tenant-application';
import { AdministeredBody, ApproversDto, EnrollBody, PoliciesDto, SetPolicyBody } from './approvals.dto';
import { RefusedDto, TenantQuery } from './requests.dto';
import { SignerRequests } from './signer-requests';

/** Who may approve of what: changed by whoever holds the secret of the administrator, through the signer. */
@ApiTags('approvals')
@ApiDefaultResponse({ type: RefusedDto, description: 'A typed error that says what to do.' })
@Controller('v1')
export class ApproversController {
  constructor(
    @Inject(SignerRequests) private readonly signer: SignerRequests,
    @Inject(ApprovalBook) private readonly book: ApprovalBook,
  ) {}

  @Get('approval-policies')
  @ApiOperation({ summary: 'The policies in force; the version of each is the revision of the fact that set it.' })
  @ApiOkResponse({ type: PoliciesDto })
  async policies(@Query() { tenant }: TenantQuery): Promise<PoliciesDto> {
    const { policies } = await this.book.newest(tenant);
    return { policies: [...policies.values()] };
  }

  @Post('approval-policies')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ summary: 'Set a policy, or put another in the place of the one of that name.' })
  setPolicy(@Body() { tenant, policy, ...who }: SetPolicyBody): Promise<ChangeAnswer> {
    return this.signer.change(tenant, { type: 'ApprovalPolicySet', policy }, who);
  }

  @Post('approval-policies/:name/remove')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ summary: 'Remove a policy; what was asked for under it stays under it.' })
  removePolicy(@Param('name') name: string, @Body() { tenant, ...who }: AdministeredBody): Promise<ChangeAnswer> {
    return this.signer.change(tenant, { type: 'ApprovalPolicyRemoved', name }, who);
  }

  @Get('approvers')
  @ApiOperation({ summary: 'Who is enrolled.' })
  @ApiOkResponse({ type: ApproversDto })
  async approvers(@Query() { tenant }: TenantQuery): Promise<ApproversDto> {
    const { approvers } = await this.book.newest(tenant);
    return { approvers: [...approvers.values()] };
  }

  @Post('approvers')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({
    summary: 'Enrol a person, or change its roles; without a key of its own it is given a secret, which is told once.',
  })
  enroll(@Body() { tenant, approver, ...who }: EnrollBody): Promise<ChangeAnswer> {
    return this.signer.change(tenant, { type: 'ApproverEnrolled', approver }, who);
  }

  @Post('approvers/:id/revoke')
  @HttpCode(HttpStatus.OK)
  @ApiOperation({ summary: 'From now on the person may not decide any more.' })
  revoke(@Param('id') id: string, @Body() { tenant, ...who }: AdministeredBody): Promise<ChangeAnswer> {
    return this.signer.change(tenant, { type: 'ApproverRevoked', id }, who);
  }
}
