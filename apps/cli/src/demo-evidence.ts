import type { Fact } from './gateway-client';

/** A line of the book that the tools keep themselves, outside the engine. */
export interface LedgerLine {
  readonly key: string;
  readonly tool: string;
  readonly what: 'began' | 'ended';
  readonly pid: number;
  readonly atMs: number;
}

export interface Evidence {
  readonly facts: Readonly<Record<string, number>>;
  readonly effects: {
    readonly total: number;
    /** Executed exactly once. */
    readonly once: number;
    /** Begun again because the kill had cut them off: nothing of them was confirmed. */
    readonly cutOff: number;
    /** Executed again although their result was confirmed in the log: must not be. */
    readonly doubled: number;
    /** Confirmed before the kill, and so never touched again. */
    readonly savedFromBefore: number;
  };
  /** From the kill to the next activation, and to the first result after it. */
  readonly killToActivationMs: number | undefined;
  readonly killToProgressMs: number | undefined;
}

const PROGRESS = new Set(['EffectConfirmed', 'ModelCallCompleted', 'EffectIntended']);

/** Judges from two independent witnesses: the log of facts, and the book of the tools. */
export function evidenceOf({
  facts,
  ledger,
  killedAtMs,
}: {
  readonly facts: readonly Fact[];
  readonly ledger: readonly LedgerLine[];
  readonly killedAtMs: number;
}): Evidence {
  const counts: Record<string, number> = {};
  for (const { type } of facts) counts[type] = (counts[type] ?? 0) + 1;
  const lostAt = facts.findIndex(({ type }) => type === 'ActivationLost');
  const before = lostAt < 0 ? facts : facts.slice(0, lostAt);
  const after = lostAt < 0 ? [] : facts.slice(lostAt + 1);
  const assignedAgain = after.find(({ type }) => type === 'RunAssigned');
  const progress = after.find(({ type, data }) => PROGRESS.has(type) && data !== undefined);
  return {
    facts: counts,
    effects: effectsOf(before, facts, ledger),
    killToActivationMs: assignedAgain && assignedAgain.atMs - killedAtMs,
    killToProgressMs: progress && progress.atMs - killedAtMs,
  };
}

function effectsOf(before: readonly Fact[], facts: readonly Fact[], ledger: readonly LedgerLine[]): Evidence['effects'] {
  const confirmed = confirmedAt(facts);
  const begun = new Map<string, readonly LedgerLine[]>();
  for (const line of ledger)
    if (line.what === 'began') begun.set(callOf(line.key), [...(begun.get(callOf(line.key)) ?? []), line]);
  const again = [...begun].filter(([, lines]) => lines.length > 1);
  const isDoubled = ([call, lines]: readonly [string, readonly LedgerLine[]]): boolean =>
    lines.slice(1).some((line) => line.atMs > (confirmed.get(call) ?? Infinity));
  const doubled = again.filter(isDoubled).length;
  return {
    total: begun.size,
    once: begun.size - again.length,
    cutOff: again.length - doubled,
    doubled,
    savedFromBefore: confirmedAt(before).size,
  };
}

function confirmedAt(facts: readonly Fact[]): Map<string, number> {
  return new Map(facts.filter(({ type }) => type === 'EffectConfirmed').map(({ data, atMs }) => [String(data.call), atMs]));
}

/** The last part of an idempotency key is the call. */
function callOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}
