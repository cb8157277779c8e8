import type { RunEventOf } from '@perdure/run-contract';
import type { OpenTimer } from '../run.state';

/** What a person is asked, while nobody has answered. */
export interface RunTask {
  /** Revision of the fact that asked: of two that a call has asked for, in two branches, the one. */
  readonly asked: number;
  readonly terms: RunEventOf<'TaskAsked'>['data'];
  readonly delegated?: RunEventOf<'TaskDelegated'>['data'] | undefined;
  readonly escalatedTo?: string | undefined;
}

/** What became of one, so that whoever comes late is told, and whoever says the same again is not refused. */
export interface ClosedTask {
  readonly call: string;
  readonly asked: number;
  /** Absent: its time was over. */
  readonly answered?: { readonly by: string; readonly hash: string };
}

/** Who may answer now. */
export function answerersOf({ terms, delegated, escalatedTo }: RunTask): string[] {
  const all = [terms.assignee, delegated?.to, escalatedTo].filter((who) => who !== undefined);
  return [...new Set(all)];
}

export function isOfTask({ purpose }: Pick<OpenTimer, 'purpose'>): boolean {
  return purpose === 'task-reminder' || purpose === 'task-escalation' || purpose === 'task-expiry';
}
