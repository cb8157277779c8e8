import { signedText, type Signatures } from '@perdure/kernel';
import { attested, ballotOf, type ApprovalRefusal, type RunAddress, type RunCommandOf } from '@perdure/run-contract';

/** The owner's look at what comes under the signer's signature: whether it is that, and whether it is about this run. */
export interface SignerKnown {
  readonly signatures: Signatures;
  readonly signerKey: string | undefined;
}

export interface SignatureFlaw {
  readonly code: ApprovalRefusal;
  readonly message: string;
}

const NOT_SIGNED: SignatureFlaw = {
  code: 'BadSignature',
  message: 'The signer has not signed this: whoever sent it may not decide.',
};
const NOT_BY_APPROVER: SignatureFlaw = { code: 'BadSignature', message: 'The approver has not signed this with its own key.' };
const OTHER_RUN: SignatureFlaw = { code: 'OtherRun', message: 'What was signed is about another run or tenant.' };

export function flawOfVote(
  known: SignerKnown,
  address: RunAddress,
  { vote }: RunCommandOf<'RecordVote'>,
): SignatureFlaw | undefined {
  const { statement, ballot, signature } = vote;
  if (!isSigned(known, signedText('vote', attested(vote)), signature)) return NOT_SIGNED;
  if (!isAbout(statement, address)) return OTHER_RUN;
  if (ballot === undefined) return undefined;
  const text = signedText('ballot', ballotOf(statement));
  return known.signatures.verify(ballot.publicKey, text, ballot.signature) ? undefined : NOT_BY_APPROVER;
}

export function flawOfRefusal(
  known: SignerKnown,
  address: RunAddress,
  { refusal: { statement, signature } }: RunCommandOf<'RecordRefusal'>,
): SignatureFlaw | undefined {
  if (!isSigned(known, signedText('refusal', statement), signature)) return NOT_SIGNED;
  return isAbout(statement, address) ? undefined : OTHER_RUN;
}

function isSigned({ signatures, signerKey }: SignerKnown, text: string, signature: string): boolean {
  return signerKey !== undefined && signatures.verify(signerKey, text, signature);
}

function isAbout({ tenant, runId }: { readonly tenant: string; readonly runId: string }, address: RunAddress): boolean {
  return tenant === address.tenant && runId === address.runId;
}
