// What the runs of the load do, as data: the worker performs it, and the judge computes by itself what must
// come out. Both use the same arithmetic and nothing else of each other.

export interface WorkflowInput {
  readonly seed: number;
  readonly rounds: number;
}

export interface AgentInput {
  readonly seed: number;
  readonly parts: number;
}

/** A number that depends on all that came before: a result that is lost, doubled or swapped changes the end. */
export function mixed(left: number, right: number): number {
  let hash = Math.imul(left ^ 0x9e3779b9, 0x85ebca6b) ^ (right >>> 0);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return (hash ^ (hash >>> 13)) >>> 0;
}

/** What the outer system answers, whoever asks and however often. */
export function charged(amount: number): number {
  return mixed(amount, 0xc0ffee);
}

/** The same in whatever order: results of tools that run at once come as they come. */
export function total(values: readonly number[]): number {
  return values.reduce((sum, value) => (sum + value) >>> 0, 0);
}

export const BRANCHES = 3;

export function workflowOutput({ seed, rounds }: WorkflowInput): number {
  let value = seed;
  for (let round = 0; round < rounds; round += 1) {
    value = mixed(value, round);
    value = mixed(value, 100 + round);
    value = charged(value);
    const before = value;
    for (let branch = 0; branch < BRANCHES; branch += 1) value = mixed(value, charged(mixed(before, 1_000 + branch)));
  }
  return value;
}

export function agentOutput({ seed, parts }: AgentInput): string {
  const results = Array.from({ length: parts }, (_, part) => charged(mixed(seed, part)));
  return `total ${charged(total(results))}`;
}
