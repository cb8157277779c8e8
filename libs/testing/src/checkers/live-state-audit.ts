import { canonicalJson } from '@perdure/kernel';
import { journalLength, tailItems, type OpenRun, type RunState } from '@perdure/run-domain';
import type { OracleRun } from '../oracle/notes';
import { oracleOf, type StoredRunEvent } from '../oracle/run-oracle';

/** What the real fold says of the things that the oracle knows; of an ended run it keeps the end only. */
function seen(state: RunState): Partial<OracleRun> {
  if (state.status === 'none') return { status: 'none' };
  const { status, epoch, branch } = state;
  const { inputTokens, outputTokens, costMicroUsd, toolCalls } = state.spent;
  const spent = { tokens: inputTokens + outputTokens, costMicroUsd, toolCalls };
  if (status === 'ended') return { status, epoch, branch, outcome: state.outcome.status, spent };
  const delivered = tailItems(state.journal).filter((item) => item.type !== 'made');
  return {
    status,
    epoch,
    branch,
    turn: state.turn,
    build: state.pin,
    journalLength: journalLength(state.journal),
    openCalls: [...state.calls.keys()].sort(),
    openTimers: [...state.timers.keys()].sort(),
    executions: executionsIn(state),
    heartbeats: heartbeatsIn(state),
    unread: state.signals.map(({ name }) => name),
    approvals: approvalsIn(state),
    toUndo: state.undo.entries.map(({ call }) => call),
    deliveredCalls: delivered.map((item) => item.call),
    spent,
  };
}

export function executionsIn(run: OpenRun): readonly string[] {
  const open = [...run.calls.values()].flatMap((call) => {
    if (call.kind !== 'tool') return [];
    const stands = call.deadLetter === undefined ? call.execution?.stage : 'dead-letter';
    return stands === undefined ? [] : [`${call.call} ${stands}`];
  });
  return open.sort();
}

export function heartbeatsIn(run: OpenRun): readonly string[] {
  const open = [...run.calls.values()].flatMap((call) =>
    call.kind === 'tool' && call.heartbeat !== undefined
      ? [`${call.call} ${call.heartbeat.attempt} ${JSON.stringify(call.heartbeat.detail)}`]
      : [],
  );
  return open.sort();
}

export function approvalsIn(run: OpenRun): readonly string[] {
  const open = [...run.calls.values()].flatMap((call) =>
    call.kind === 'tool' && call.approval !== undefined ? [`${call.call} ${call.approval.stage}`] : [],
  );
  return open.sort();
}

/** I2: how the state that a process holds differs from what the log says at the same revision; undefined = not at all. */
export function differenceFromLog(state: RunState, stored: readonly StoredRunEvent[]): string | undefined {
  if (state.revision >= stored.length) return `it is at revision ${state.revision}, the log has ${stored.length} facts`;
  try {
    return difference(seen(state), stored.slice(0, state.revision + 1));
  } catch (error) {
    return `the log does not fold: ${String(error)}`;
  }
}

function difference(held: Partial<OracleRun>, stored: readonly StoredRunEvent[]): string | undefined {
  const expected = oracleOf(stored) as unknown as Readonly<Record<string, unknown>>;
  const differing = Object.entries(held).filter(([field, value]) => canonicalJson(value) !== canonicalJson(expected[field]));
  if (differing.length === 0) return undefined;
  return differing
    .map(([field, value]) => `${field} is ${canonicalJson(value)}, by the log ${canonicalJson(expected[field])}`)
    .join('; ');
}
