import type { Change, ChangeAnswer } from '@perdure/approval-contract';
import { delay, PerdureError, signedText, Terminal, token } from '@perdure/kernel';
import {
  approvalChange,
  POLICY_IN_FORCE_MS,
  tenantRequestSubject,
  type ApprovalChange,
  type SignedChange,
} from '@perdure/tenant-contract';
import type { SignerPorts } from './ports';

const OWNER_TIMEOUT_MS = 2_000;
const ISSUES_SHOWN = 5;

/**
 * Of a policy, the answer comes when it is in force everywhere.
 * @throws Terminal `NotIdentified`, `InvalidChange`, `NoSuchPolicy`, `UnknownApprover`; Retryable when the owner of the tenant does not
 *   answer, or another change was first
 */
export async function change(
  ports: SignerPorts,
  { tenant, command }: { readonly tenant: string; readonly command: Change },
): Promise<ChangeAnswer> {
  const { secrets, host } = ports;
  if (!secrets.isAdministrator(command.secret))
    throw new Terminal(
      'NotIdentified',
      'Policies and approvers are changed with the secret of the administrator, in the folder of the signer.',
    );
  const made = parse(command.change);
  const approvals = await ports.approvals.newest(tenant);
  checkThatItIsThere(made, approvals);
  const statement = {
    v: 1 as const,
    tenant,
    after: approvals.revision,
    by: command.by,
    atMs: host.clock.nowMs(),
    change: made,
  };
  const { revision } = await append(ports, tenant, { statement, signature: ports.key.sign(signedText('change', statement)) });
  if (made.type === 'ApprovalPolicySet' || made.type === 'ApprovalPolicyRemoved') await delay(host, POLICY_IN_FORCE_MS);
  if (made.type === 'ApproverRevoked') await secrets.forget(tenant, made.id);
  if (made.type !== 'ApproverEnrolled' || made.approver.publicKey !== undefined) return { revision };
  return { revision, secret: await secrets.issue(tenant, made.approver.id) };
}

function parse(given: unknown): ApprovalChange {
  const parsed = approvalChange.safeParse(given);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.slice(0, ISSUES_SHOWN).map(({ path, message }) => `${path.join('.')}: ${message}`);
  throw new Terminal('InvalidChange', `The change does not have its shape: ${issues.join('; ')}`);
}

function checkThatItIsThere(
  made: ApprovalChange,
  { policies, approvers }: { readonly policies: ReadonlyMap<string, unknown>; readonly approvers: ReadonlyMap<string, unknown> },
): void {
  if (made.type === 'ApprovalPolicyRemoved' && !policies.has(made.name))
    throw new Terminal('NoSuchPolicy', `There is no policy ${made.name}.`);
  if (made.type === 'ApproverRevoked' && !approvers.has(made.id))
    throw new Terminal('UnknownApprover', `Nobody is enrolled as ${made.id}.`);
}

async function append({ bus, host }: SignerPorts, tenant: string, signed: SignedChange): Promise<{ readonly revision: number }> {
  const payload = JSON.stringify({
    v: 1,
    id: host.entropy.uuid(),
    actor: { kind: 'service', id: 'signer' },
    command: { type: 'ChangeApprovals', signed },
  });
  const subject = tenantRequestSubject.build(token(tenant, 'tenant'));
  const said = JSON.parse(await bus.request(subject, payload, { timeoutMs: OWNER_TIMEOUT_MS })) as
    | { readonly ok: true; readonly value: { readonly revision: number } }
    | { readonly ok: false; readonly error: Parameters<typeof PerdureError.fromRecord>[0] };
  if (said.ok) return said.value;
  throw PerdureError.fromRecord(said.error);
}
