import type { ChildUsage, Stack } from '@perdure/cli';
import { rounded, sum } from '../rig/figures';

/** What a stretch of time has cost all processes of the system; the load client is none of them. */
export interface Cost {
  readonly cpuSeconds: number;
  readonly cpuByProcess: Readonly<Record<string, number>>;
  readonly rssMb: Readonly<Record<string, number>>;
}

/** @returns the function that says what it has cost since */
export function meter(stack: Stack): () => Cost {
  const before = new Map(stack.usage().map((usage) => [usage.name, usage.cpuSeconds]));
  return () => {
    const spent = stack.usage().map((usage) => ({ ...usage, cpuSeconds: usage.cpuSeconds - (before.get(usage.name) ?? 0) }));
    return {
      cpuSeconds: sum(spent.map(({ cpuSeconds }) => cpuSeconds)),
      cpuByProcess: byName(spent, ({ cpuSeconds }) => rounded(cpuSeconds)),
      rssMb: byName(spent, ({ rssMb }) => Math.round(rssMb)),
    };
  };
}

function byName(usages: readonly ChildUsage[], figure: (usage: ChildUsage) => number): Readonly<Record<string, number>> {
  return Object.fromEntries(usages.map((usage) => [usage.name, figure(usage)]));
}
