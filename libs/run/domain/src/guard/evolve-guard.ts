import { unreachable } from '@perdure/kernel';
import type { LimitExtension, RunEvent, RunEventOf, RunEventType, RunLimits, Spending } from '@perdure/run-contract';
import { FORGIVEN_AFTER_RESULTS, RESULTS_REMEMBERED } from '../bounds';
import { fingerprint } from './fingerprint';
import { addSpending, NO_CALLS, type Guard } from './run.guard';
import { isOpen, type OpenRun, type RunState } from '../run.state';

/** Facts that say what the guard makes of a run; they change nothing but its own notes. */
export type GuardEventType = 'LimitReached' | 'LoopSuspected';

export function isOfGuard(event: RunEvent): event is RunEventOf<GuardEventType> {
  return event.type === 'LimitReached' || event.type === 'LoopSuspected';
}

const WATCHED = [
  'ModelCallIntended',
  'ModelCallCompleted',
  'EffectIntended',
  'EffectConfirmed',
  'EffectFailed',
  'LimitReached',
  'LoopSuspected',
  'RunResumed',
] as const satisfies readonly RunEventType[];
type WatchedType = (typeof WATCHED)[number];

function isWatched(event: RunEvent): event is RunEventOf<WatchedType> {
  return (WATCHED as readonly string[]).includes(event.type);
}

/** What a fact says of spending and progress; `run` is as it was before it. */
export function watch(next: RunState, run: OpenRun, event: RunEvent): RunState {
  return isOpen(next) && isWatched(event) ? { ...next, ...watched(run, event) } : next;
}

function watched(run: OpenRun, event: RunEventOf<WatchedType>): Partial<Pick<OpenRun, 'spent' | 'guard' | 'limits'>> {
  const { guard, spent } = run;
  switch (event.type) {
    case 'ModelCallIntended':
      return event.data.turn === undefined ? {} : { guard: afterTurn(guard) };
    case 'ModelCallCompleted': {
      const invalidOutputs = event.data.decision.outputProblem === undefined ? 0 : guard.invalidOutputs + 1;
      return { spent: afterModelCall(spent, event), guard: { ...guard, invalidOutputs } };
    }
    case 'EffectIntended':
      return event.data.undoes === undefined ? { spent: { ...spent, toolCalls: spent.toolCalls + 1 } } : {};
    case 'EffectConfirmed':
    case 'EffectFailed':
      return run.request.kind === 'agent' && run.ending === undefined ? { guard: afterResult(run, event) } : {};
    case 'LimitReached':
      return event.data.action === 'pause' ? { guard: { ...guard, hold: event.data.limit } } : {};
    case 'LoopSuspected':
      return { guard: suspected(guard, event) };
    case 'RunResumed':
      return { limits: extended(run, event.data.extend), guard: { ...guard, hold: undefined } };
    default:
      return unreachable(event);
  }
}

function afterModelCall(spent: Spending, { data }: RunEventOf<'ModelCallCompleted'>): Spending {
  const { usage, cost } = data.decision;
  return {
    ...spent,
    modelCalls: spent.modelCalls + 1,
    inputTokens: spent.inputTokens + usage.inputTokens,
    outputTokens: spent.outputTokens + usage.outputTokens,
    cachedInputTokens: spent.cachedInputTokens + (usage.cachedInputTokens ?? 0),
    reasoningTokens: spent.reasoningTokens + (usage.reasoningTokens ?? 0),
    costMicroUsd: spent.costMicroUsd + (cost?.microUsd ?? 0),
    unpricedCalls: spent.unpricedCalls + (cost === undefined ? 1 : 0),
  };
}

/** The counters as the turn that has ended leaves them. */
export function afterTurn(guard: Guard): Guard {
  const { ended, fresh, mistakes } = guard.turn;
  if (ended === 0) return guard;
  return {
    ...guard,
    barrenTurns: fresh === 0 ? guard.barrenTurns + 1 : 0,
    mistakenTurns: mistakes === ended ? guard.mistakenTurns + 1 : 0,
    turn: NO_CALLS,
  };
}

/** Refused before anything ran: the model has to ask in another way. */
const MISTAKES: ReadonlySet<string> = new Set(['InvalidArguments', 'UnknownTool']);

function afterResult(run: OpenRun, event: RunEventOf<'EffectConfirmed' | 'EffectFailed'>): Guard {
  const { guard } = run;
  const open = run.calls.get(event.data.call);
  if (open?.kind !== 'tool' || (event.type === 'EffectFailed' && event.data.retryAtMs !== undefined)) return guard;
  const error = event.type === 'EffectFailed' ? event.data.error : undefined;
  const result = event.type === 'EffectFailed' ? `${event.data.error.code} ${event.data.error.message}` : event.data.result;
  const seen = `${open.tool} ${fingerprint(`${open.argsHash} ${JSON.stringify(result)}`)}`;
  const isFresh = error === undefined && !guard.recent.includes(seen);
  const fresh = guard.fresh + (isFresh ? 1 : 0);
  const { turn } = guard;
  return {
    ...guard,
    recent: [...guard.recent, seen].slice(-RESULTS_REMEMBERED),
    fresh,
    strikes: fresh >= FORGIVEN_AFTER_RESULTS ? 0 : guard.strikes,
    turn: {
      ended: turn.ended + 1,
      fresh: turn.fresh + (isFresh ? 1 : 0),
      mistakes: turn.mistakes + (error !== undefined && MISTAKES.has(error.code) ? 1 : 0),
    },
  };
}

/** It gets another allowance: what it did before is not held against it twice. */
function suspected(guard: Guard, { data }: RunEventOf<'LoopSuspected'>): Guard {
  const hold = data.action === 'pause' ? 'loop' : guard.hold;
  return { ...afterTurn(guard), recent: [], fresh: 0, barrenTurns: 0, strikes: data.strike, hold };
}

/** Tokens of all its model calls. */
export function tokensOf({ inputTokens, outputTokens }: Spending): number {
  return inputTokens + outputTokens;
}

/** The newest turn of an agent is intended, and has not begun where a limit holds it back. */
export function turnsUsed(run: OpenRun): number {
  return Math.max(0, run.turn - 1);
}

/** So much beyond what is used: whoever grants it need not know by how much a limit was passed. */
export function extended(run: OpenRun, extend: LimitExtension | undefined): RunLimits {
  const { limits, spent } = run;
  if (extend === undefined) return limits;
  const { turns, toolCalls, tokens, costMicroUsd } = extend;
  const inTree = addSpending(spent, run.spentByChildren);
  return {
    ...limits,
    ...(turns === undefined ? {} : { turnsMax: Math.max(limits.turnsMax ?? 0, turnsUsed(run)) + turns }),
    ...(toolCalls === undefined ? {} : { toolCallsMax: Math.max(limits.toolCallsMax ?? 0, spent.toolCalls) + toolCalls }),
    ...(tokens === undefined ? {} : { tokensMax: Math.max(limits.tokensMax ?? 0, tokensOf(inTree)) + tokens }),
    ...(costMicroUsd === undefined
      ? {}
      : { costMicroUsdMax: Math.max(limits.costMicroUsdMax ?? 0, inTree.costMicroUsd) + costMicroUsd }),
  };
}
