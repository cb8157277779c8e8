import type { RunEventOf, Vote } from '@perdure/run-contract';

/** The newest approval of an effect, from its request on. */
export interface ToolApproval extends Omit<RunEventOf<'ApprovalRequested'>['data'], 'call' | 'tool' | 'requestedAtMs' | 'name'> {
  /** `refused`: denied or expired; the end of the call follows. */
  readonly stage: 'waiting' | 'granted' | 'refused';
  /** Of those who agree, each once. */
  readonly votes: readonly Vote[];
  /** Granted: what the claim has to name. */
  readonly grantId: string | undefined;
}

/** What somebody tried and may not: remembered, so that a repeated try gets the same answer. */
export interface KnownRefusal {
  readonly commandId: string;
  readonly code: string;
  readonly message: string;
}
