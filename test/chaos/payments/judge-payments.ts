import { auditRun } from '@perdure/testing';
import type { LoggedFact } from '../../rig/log';
import type { Transfer } from './bank';

/** A payment that was ordered, and how it ended for whoever ordered it. */
export interface Payment {
  readonly id: string;
  readonly name: 'paying' | 'wiring';
  runId: string | undefined;
  end: { readonly output: unknown } | { readonly code: string; readonly message: string } | undefined;
}

export interface PaymentVerdict {
  /** Payments for which money moved more than once. */
  readonly doubled: number;
  /** Payments that did not come to their end, or for which no money moved. */
  readonly lost: number;
  /** Questions to persons. */
  readonly asked: number;
  readonly violations: readonly string[];
}

export interface PaymentEvidence {
  readonly payments: readonly Payment[];
  /** The book of the bank. */
  readonly transfers: readonly Transfer[];
  readonly runs: ReadonlyMap<string, readonly LoggedFact[]>;
}

const CLOCK_SKEW_MS = 2;

/** From three witnesses: who ordered, the bank, the log. */
export function judgePayments({ payments, transfers, runs }: PaymentEvidence): PaymentVerdict {
  const moved = new Map<string, number>();
  for (const { payment } of transfers) moved.set(payment, (moved.get(payment) ?? 0) + 1);
  const ofRun = ({ runId }: Payment): readonly LoggedFact[] => runs.get(runId ?? '') ?? [];
  const doubled = payments.filter(({ id }) => (moved.get(id) ?? 0) > 1);
  const lost = payments.flatMap((payment) => lossOf(payment, moved.get(payment.id) ?? 0));
  const questions = payments.map((payment) => questionsOf(payment, ofRun(payment)));
  return {
    doubled: doubled.length,
    lost: lost.length,
    asked: questions.reduce((sum, { asked }) => sum + asked, 0),
    violations: [
      ...doubled.map(({ id, name, runId }) => `doubled: money moved ${moved.get(id)} times for ${name} ${id} (${runId})`),
      ...lost,
      ...questions.flatMap(({ faults }) => faults),
      ...payments.flatMap((payment) =>
        auditRun(ofRun(payment), { clockSkewMs: CLOCK_SKEW_MS }).map(({ invariant, message }) => `${invariant}: ${message}`),
      ),
    ],
  };
}

function lossOf({ id, name, runId, end }: Payment, times: number): readonly string[] {
  const lost = (why: string): readonly string[] => [`lost: ${name} ${id} (${runId ?? 'never started'}) ${why}`];
  if (end === undefined) return lost('has not ended');
  if ('code' in end) return lost(`ended with ${end.code}: ${end.message.slice(0, 200)}`);
  if (end.output !== id) return lost(`gave ${JSON.stringify(end.output)}`);
  return times === 0 ? lost('ended well, and no money moved') : [];
}

/** One for each execution that nobody could say anything of, and none for what could be asked. */
function questionsOf({ id, name, runId }: Payment, facts: readonly LoggedFact[]): { asked: number; faults: readonly string[] } {
  const executions = (type: string): readonly string[] =>
    facts.filter((fact) => fact.type === type).map(({ data }) => String(data.executionId));
  const asked = executions('EffectQuestioned');
  const wanted = name === 'paying' ? [] : executions('EffectUnknown');
  const fault = (execution: string, what: string): string => `asked: ${what} about ${execution} of ${id} (${runId})`;
  return {
    asked: asked.length,
    faults: [
      ...asked.filter((execution) => !wanted.includes(execution)).map((execution) => fault(execution, 'nobody had to be asked')),
      ...wanted.filter((execution) => !asked.includes(execution)).map((execution) => fault(execution, 'nobody was asked')),
    ],
  };
}
