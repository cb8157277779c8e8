import { TERMINAL_EVENT_TYPES } from '@perdure/run-contract';
import { auditRun } from '@perdure/testing';
import type { BookLine } from '../rig/book';
import { recordedAt, type LoggedFact } from '../rig/log';
import type { Ordered } from './load';

export interface ChaosLine extends BookLine {
  readonly kind: 'pure' | 'step' | 'tool';
}

export interface Verdict {
  /** Runs that did not come to their right end. */
  readonly lost: number;
  /** Executions begun after their result was in the log, and starts with one key that made two runs. */
  readonly doubled: number;
  /** Pure steps executed again before they were recorded: allowed. */
  readonly reexecutedPure: number;
  /** Steps and tools that a kill had cut off and that were begun again: allowed. */
  readonly reexecutedCutOff: number;
  readonly violations: readonly string[];
}

type Runs = ReadonlyMap<string, readonly LoggedFact[]>;

/** One machine, one clock: what is early by a millisecond was rounded. */
const CLOCK_SKEW_MS = 2;

/** From three witnesses that do not know of each other: the callers, the log, and the book of those who executed. */
export function judge({
  orders,
  runs,
  book,
}: {
  readonly orders: readonly Ordered[];
  readonly runs: Runs;
  readonly book: readonly ChaosLine[];
}): Verdict {
  const ends = orders.flatMap((order) => endOf(order, runs));
  const keys = orders
    .filter(({ runIds }) => runIds.size > 1)
    .map(({ key, runIds }) => `doubled: the key ${key} gave the runs ${[...runIds].join(', ')}`);
  const strays = straysIn(orders, runs);
  const executions = executionsIn(book, runs);
  const log = [...runs].flatMap(([runId, facts]) => [...density(runId, facts), ...findings(facts)]);
  return {
    lost: ends.length,
    doubled: keys.length + executions.doubled.length,
    reexecutedPure: executions.reexecutedPure,
    reexecutedCutOff: executions.reexecutedCutOff,
    violations: [...ends, ...keys, ...strays, ...executions.doubled, ...executions.unexecuted, ...log],
  };
}

function endOf(order: Ordered, runs: Runs): readonly string[] {
  const { key, end, expected, cancelAsked } = order;
  const [runId] = order.runIds;
  const lost = (why: string): readonly string[] => [`lost: ${order.name} ${runId ?? key}: ${why}`];
  if (runId === undefined) return lost('was never started');
  const facts = runs.get(runId) ?? [];
  const last = facts.at(-1)?.type ?? 'nothing';
  if (end === undefined) return lost(`has not ended; its last fact is ${facts.length - 1} ${last}`);
  if ('output' in end) {
    if (last !== 'RunCompleted') return lost(`its caller has an output, the log ends with ${last}`);
    const right = end.output === expected && facts.at(-1)?.data.output === expected;
    return right ? [] : lost(`gave ${JSON.stringify(end.output)} instead of ${JSON.stringify(expected)}`);
  }
  if (end.code === 'RunCancelled' && cancelAsked && last === 'RunCancelled') return [];
  return lost(`ended with ${end.code}: ${end.message.slice(0, 300)}`);
}

/** Runs in the log that nobody has asked for. */
function straysIn(orders: readonly Ordered[], runs: Runs): readonly string[] {
  const known = new Set(orders.flatMap(({ runIds }) => [...runIds]));
  return [...runs.keys()].filter((runId) => !known.has(runId)).map((runId) => `stray: nobody asked for the run ${runId}`);
}

function density(runId: string, facts: readonly LoggedFact[]): readonly string[] {
  const gap = facts.findIndex(({ revision }, index) => revision !== index);
  const terminal = facts.filter(({ type }) => (TERMINAL_EVENT_TYPES as readonly string[]).includes(type));
  return [
    ...(gap < 0 ? [] : [`I1: ${runId}: fact ${gap} of the log has the revision ${facts[gap]?.revision}`]),
    ...(terminal.length === 1 ? [] : [`I13: ${runId}: ends ${terminal.length} times`]),
  ];
}

function findings(facts: readonly LoggedFact[]): readonly string[] {
  return auditRun(facts, { clockSkewMs: CLOCK_SKEW_MS }).map(({ invariant, message }) => `${invariant}: ${message}`);
}

function executionsIn(book: readonly ChaosLine[], runs: Runs) {
  const recorded = new Map([...runs].map(([runId, facts]) => [runId, recordedAt(facts)]));
  const seen = new Set<string>();
  const doubled: string[] = [];
  let reexecutedPure = 0;
  let reexecutedCutOff = 0;
  for (const { runId, what, kind, pid, atMs } of book) {
    const key = `${runId} ${what}`;
    const recordedMs = recorded.get(runId)?.get(what) ?? Infinity;
    if (atMs > recordedMs)
      doubled.push(`I3: ${kind} ${key} began in process ${pid} ${atMs - recordedMs} ms after its result was recorded`);
    else if (seen.has(key) && kind === 'pure') reexecutedPure += 1;
    else if (seen.has(key)) reexecutedCutOff += 1;
    seen.add(key);
  }
  const unexecuted = [...recorded].flatMap(([runId, results]) =>
    [...results.keys()]
      .filter((what) => !seen.has(`${runId} ${what}`))
      .map((what) => `unexecuted: ${runId} has a result of ${what}, which nobody executed`),
  );
  return { doubled, unexecuted, reexecutedPure, reexecutedCutOff };
}
