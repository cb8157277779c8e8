import { approval, approvalLine, approvalsWanted } from '@perdure/approval-contract';
import { nameToken, REASON_MAX, userValue } from '@perdure/run-contract';
import { approvalPolicy, approver } from '@perdure/tenant-contract';
import { createZodDto } from 'nestjs-zod';
import { z } from 'zod';
import { TENANT_DEFAULT } from './requests.dto';

const tenant = nameToken.default(TENANT_DEFAULT);

const decided = {
  approver: nameToken.describe('Who decides: an approver that is enrolled.'),
  secret: z.string().max(200).optional().describe('What the approver was given at enrolment.'),
  signature: z.string().max(200).optional().describe('Of an approver with a key of its own: Ed25519, base64, over the ballot.'),
  shownHash: z.string().max(128).optional().describe('Of what was shown: refused if something else is asked for by now.'),
  reason: z.string().max(REASON_MAX).optional(),
  tenant,
};

export class ApprovalsQuery extends createZodDto(z.object({ tenant, ...approvalsWanted })) {}

export class DecideBody extends createZodDto(z.object(decided)) {}

export class EditBody extends createZodDto(
  z.object({ ...decided, args: userValue.describe('Executed in the place of the arguments that were intended.') }),
) {}

const administered = {
  secret: z.string().max(200).describe('Of the administrator: in the folder of the signer.'),
  by: z.string().min(1).max(200).default('administrator').describe('Who makes the change: recorded with it.'),
  tenant,
};

export class SetPolicyBody extends createZodDto(z.object({ ...administered, policy: approvalPolicy })) {}
export class EnrollBody extends createZodDto(z.object({ ...administered, approver })) {}
export class AdministeredBody extends createZodDto(z.object(administered)) {}

export class ApprovalsDto extends createZodDto(
  z.object({
    complete: z.boolean().describe('False while the gateway still reads the log after its start.'),
    approvals: z.array(approvalLine),
  }),
) {}

export class ApprovalDto extends createZodDto(approval) {}

export class PoliciesDto extends createZodDto(
  z.object({ policies: z.array(z.object({ version: z.number(), policy: approvalPolicy })) }),
) {}

export class ApproversDto extends createZodDto(z.object({ approvers: z.array(approver) })) {}
