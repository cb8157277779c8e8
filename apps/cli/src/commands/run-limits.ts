import type { LimitExtension, RunLimits } from '@perdure/run-contract';
import { BadUsage } from '../cli.errors';
import type { RunView } from '../gateway-client';
import { dollars, pc } from '../paint';

/** What a run may use, as one types it: `turns=50,cost=1.50`. */

const COUNTS = ['turns', 'tool-calls', 'tokens'] as const;

/** @throws BadUsage */
export function extensionOf(given: string): LimitExtension {
  const { turns, 'tool-calls': toolCalls, tokens, cost } = readList(given, '--extend', []);
  return {
    ...(turns === undefined ? {} : { turns: Number(turns) }),
    ...(toolCalls === undefined ? {} : { toolCalls: Number(toolCalls) }),
    ...(tokens === undefined ? {} : { tokens: Number(tokens) }),
    ...(cost === undefined ? {} : { costMicroUsd: microUsd(cost) }),
  };
}

/** @throws BadUsage */
export function limitsOf(given: string): RunLimits {
  const { turns, 'tool-calls': toolCalls, tokens, cost, 'on-limit': onLimit } = readList(given, '--limits', ['on-limit']);
  if (onLimit !== undefined && onLimit !== 'pause' && onLimit !== 'fail')
    throw new BadUsage(`--limits: on-limit is pause or fail; got "${onLimit}".`);
  return {
    ...(turns === undefined ? {} : { turnsMax: Number(turns) }),
    ...(toolCalls === undefined ? {} : { toolCallsMax: Number(toolCalls) }),
    ...(tokens === undefined ? {} : { tokensMax: Number(tokens) }),
    ...(cost === undefined ? {} : { costMicroUsdMax: microUsd(cost) }),
    ...(onLimit === undefined ? {} : { onLimit }),
  };
}

function microUsd(cost: string): number {
  return Math.round(Number(cost) * 1_000_000);
}

function readList(given: string, option: string, others: readonly string[]): Readonly<Record<string, string>> {
  const known: readonly string[] = [...COUNTS, 'cost', ...others];
  const pairs = given.split(',').map((pair) => {
    const [name = '', value = ''] = pair.split('=').map((part) => part.trim());
    const isNumber = name === 'cost' ? /^\d{1,9}(\.\d{1,6})?$/.test(value) : /^\d{1,12}$/.test(value);
    const fits = known.includes(name) && (others.includes(name) || (isNumber && Number(value) > 0));
    if (!fits) throw new BadUsage(`${option} wants name=number, of ${known.join(', ')}; got "${pair}".`);
    return [name, value] as const;
  });
  return Object.fromEntries(pairs);
}

/** What a run has used so far, beside what it may use. */
export function spendingLines({ turn, spent, limits = {} }: RunView): readonly string[] {
  if (spent === undefined || spent.modelCalls + spent.toolCalls === 0) return [];
  const of = (used: string, max: string | undefined): string => (max === undefined ? used : `${used} ${pc.dim(`of ${max}`)}`);
  const { turnsMax, toolCallsMax, tokensMax, costMicroUsdMax } = limits;
  const tokens = spent.inputTokens + spent.outputTokens;
  const cached = spent.cachedInputTokens === 0 ? '' : `, ${spent.cachedInputTokens} cached`;
  const counts = [
    turn === undefined ? `${spent.modelCalls} model calls` : of(`${spent.modelCalls} turns`, text(turnsMax)),
    of(`${spent.toolCalls} tool calls`, text(toolCallsMax)),
    of(`${tokens} tokens`, text(tokensMax)) + pc.dim(` (${spent.inputTokens} in${cached}, ${spent.outputTokens} out)`),
  ];
  const max = costMicroUsdMax === undefined ? undefined : `${dollars(costMicroUsdMax)} USD`;
  const isKnown = spent.unpricedCalls < spent.modelCalls;
  const unpriced = spent.unpricedCalls === 0 ? '' : pc.dim(` and ${spent.unpricedCalls} model calls whose price is not known`);
  const cost = isKnown || max !== undefined ? [of(`${dollars(spent.costMicroUsd)} USD`, max) + unpriced] : [];
  return [counts.join(', '), ...cost];
}

function text(count: number | undefined): string | undefined {
  return count === undefined ? undefined : String(count);
}
