export type { ApproverSecrets, ArgumentCheck, RunFacts, SignerPorts, TenantApprovalFacts } from './ports';
export { SignerDesk } from './signer-desk';
