import type { LimitExtension, LimitName, RunEvent, RunEventOf, RunRejection } from '@perdure/run-contract';
import { BARREN_TURNS_MAX, MISTAKES_MAX, REPEATS_MAX } from '../bounds';
import { afterTurn, extended, tokensOf, turnsUsed } from './evolve-guard';
import { refusal } from '../rejection';
import type { DecidedCommand, KnownCode } from '../run.commands';
import { evolve } from '../run.evolve';
import { addSpending, type Guard } from './run.guard';
import { isOpen, type OpenRun, type RunState } from '../run.state';

/**
 * What stands between the end of a turn and the next one, whatever brought the turn to its end.
 *
 * 1. Nothing that is under way is stopped: a run is held back from what it would begin next.
 * 2. A limit is told once, and asked about until somebody extends it.
 * 3. An agent that goes in circles is told so, then held for a person, then ended; each time it gets a whole allowance more.
 */
type Given = Pick<DecidedCommand, 'at' | 'code'>;
type NextTurn = RunEventOf<'ModelCallIntended'>;

/** Adds to what was decided what the guard makes of it. */
export function guarded(run: RunState, events: readonly RunEvent[], given: Given): readonly RunEvent[] {
  // What undoes is no use of tools that anybody has limited.
  if (!isOpen(run) || run.ending !== undefined || events.length === 0) return events;
  if (run.request.kind === 'workflow' && !hasLimits(run)) return events;
  return withLimits(run, run.request.kind === 'agent' ? withCircles(run, events, given) : events, given);
}

function hasLimits({ limits }: OpenRun): boolean {
  return limits.toolCallsMax !== undefined || limits.tokensMax !== undefined || limits.costMicroUsdMax !== undefined;
}

function withCircles(run: OpenRun, events: readonly RunEvent[], given: Given): readonly RunEvent[] {
  const index = events.findIndex((event) => event.type === 'ModelCallIntended' && (event.data.turn ?? 0) > 1);
  if (index < 0) return events;
  const [before, next] = [events.slice(0, index), events[index] as NextTurn];
  const state = before.reduce<RunState>(evolve, run);
  if (!isOpen(state)) return events;
  const guard = afterTurn(state.guard);
  const ofReport = next.report === undefined ? {} : { report: next.report };
  const fails = (code: string, message: string, ...told: readonly RunEvent[]): readonly RunEvent[] =>
    [...before, ...told, failure(code, message, given.at.nowMs)].map((event, at) =>
      at < index ? event : { ...event, ...ofReport },
    );
  const mistakesMax = given.code.behaviour?.guard?.mistakesMax ?? MISTAKES_MAX;
  if (mistakesMax > 0 && guard.mistakenTurns >= mistakesMax)
    return fails(
      'InvalidToolArguments',
      `For ${guard.mistakenTurns} turns in a row the model asked for nothing that could run: tools that do not exist, or arguments that do not fit. See the failed effects of the run; describe the tools better, or choose another model.`,
    );
  const suspicion = suspicionOf(guard, given.code);
  if (suspicion === undefined) return events;
  const strike = guard.strikes + 1;
  const action = strike === 1 ? 'nudge' : strike === 2 ? 'pause' : 'end';
  const suspected: RunEvent = { type: 'LoopSuspected', data: { turn: state.turn, ...suspicion, strike, action } };
  if (action === 'end') return fails('LoopDetected', circlesText(suspicion), suspected);
  const tell = next.data.tell === undefined ? nudgeText(suspicion) : `${next.data.tell}\n\n${nudgeText(suspicion)}`;
  const told: RunEvent = { ...next, data: { ...next.data, tell } };
  const all = [...before, { ...suspected, ...ofReport }, told, ...events.slice(index + 1)];
  return action === 'nudge' ? all : held(run, all, { reason: `${circlesText(suspicion)} ${RESUME_OF_LOOP}`, given });
}

type Suspicion = Pick<RunEventOf<'LoopSuspected'>['data'], 'because' | 'tool' | 'times'>;

function suspicionOf(guard: Guard, code: KnownCode): Suspicion | undefined {
  const { repeatsMax = REPEATS_MAX, barrenTurnsMax = BARREN_TURNS_MAX } = code.behaviour?.guard ?? {};
  const counts = new Map<string, number>();
  for (const seen of guard.recent) counts.set(seen, (counts.get(seen) ?? 0) + 1);
  for (const [seen, times] of counts) {
    if (repeatsMax > 0 && times >= repeatsMax)
      return { because: 'repetition', tool: seen.slice(0, seen.lastIndexOf(' ')), times };
  }
  const { barrenTurns } = guard;
  return barrenTurnsMax > 0 && barrenTurns >= barrenTurnsMax ? { because: 'no-progress', times: barrenTurns } : undefined;
}

function circlesText({ because, tool, times }: Suspicion): string {
  return because === 'repetition'
    ? `The agent goes in circles: ${tool ?? 'a tool'} gave the same result for the same arguments ${times} times.`
    : `The agent makes no progress: ${times} turns in a row brought no result that it did not have.`;
}

const RESUME_OF_LOOP = 'Resume it to give it one more allowance, or cancel it.';

function nudgeText(suspicion: Suspicion): string {
  return `${circlesText(suspicion)} Do not repeat it. Use what you know already, go another way, or answer now and say what is missing.`;
}

function withLimits(run: OpenRun, events: readonly RunEvent[], given: Given): readonly RunEvent[] {
  const state = events.reduce<RunState>(evolve, run);
  if (!isOpen(state) || state.cancel !== undefined || isLimit(state.guard.hold)) return events;
  const exceeded = exceededBy(state, given.code);
  if (exceeded === undefined) return events;
  const action = (state.limits.onLimit ?? given.code.behaviour?.limits.onLimit) === 'pause' ? 'pause' : 'fail';
  const report = events[events.length - 1]?.report;
  const reached: RunEvent = {
    type: 'LimitReached',
    data: { ...exceeded, action },
    ...(report === undefined ? {} : { report }),
  };
  const reason = limitText(exceeded);
  if (action === 'pause') return held(run, [...events, reached], { reason, given });
  const failed = failure(exceeded.limit === 'turns' ? 'TurnLimitReached' : 'LimitReached', reason, given.at.nowMs);
  return [...events, reached, report === undefined ? failed : { ...failed, report }];
}

function isLimit(hold: Guard['hold']): hold is LimitName {
  return hold !== undefined && hold !== 'loop';
}

type Exceeded = Pick<RunEventOf<'LimitReached'>['data'], 'limit' | 'max' | 'used'>;

/** The first limit that the run cannot go on under. */
function exceededBy(run: OpenRun, code: KnownCode | undefined): Exceeded | undefined {
  const { limits, spent } = run;
  const { toolCallsMax, tokensMax, costMicroUsdMax } = limits;
  const turnsMax = limits.turnsMax ?? code?.behaviour?.limits.turnsMax;
  if (run.request.kind === 'agent' && turnsMax !== undefined && run.turn > turnsMax)
    return { limit: 'turns', max: turnsMax, used: turnsUsed(run) };
  if (toolCallsMax !== undefined && spent.toolCalls > toolCallsMax)
    return { limit: 'tool-calls', max: toolCallsMax, used: spent.toolCalls };
  // What is used up stops nothing but another call of a model.
  if (![...run.calls.values()].some(({ kind }) => kind === 'model')) return undefined;
  const inTree = addSpending(spent, run.spentByChildren);
  const tokens = tokensOf(inTree);
  if (tokensMax !== undefined && tokens >= tokensMax) return { limit: 'tokens', max: tokensMax, used: tokens };
  if (costMicroUsdMax !== undefined && inTree.costMicroUsd >= costMicroUsdMax)
    return { limit: 'cost', max: costMicroUsdMax, used: inTree.costMicroUsd };
  return undefined;
}

const WHAT: Readonly<Record<LimitName, (count: number) => string>> = {
  turns: (count) => `${count} turns`,
  'tool-calls': (count) => `${count} tool calls`,
  tokens: (count) => `${count} tokens`,
  cost: (count) => `${dollars(count)} USD`,
};

function limitText({ limit, max, used }: Exceeded): string {
  const what = WHAT[limit];
  return `The run has used up its limit of ${what(max)}: it is at ${what(used)}. ${extendText(limit)}`;
}

/** What to do about it, as one would type it. */
export function extendText(limit: LimitName): string {
  const example: Readonly<Record<LimitName, string>> = {
    turns: 'turns=50',
    'tool-calls': 'tool-calls=50',
    tokens: 'tokens=100000',
    cost: 'cost=1.00',
  };
  return `Extend it: perdure run resume <run> --extend ${example[limit]}`;
}

function dollars(microUsd: number): string {
  return (microUsd / 1_000_000).toFixed(6).replace(/0{1,4}$/, '');
}

/** A run that waits for an extension stays where it is without one. */
export function stillExhausted(
  run: OpenRun,
  extend: LimitExtension | undefined,
): { readonly rejected: RunRejection } | undefined {
  if (!isLimit(run.guard.hold)) return undefined;
  const exceeded = exceededBy({ ...run, limits: extended(run, extend) }, undefined);
  if (exceeded === undefined) return undefined;
  return refusal('LimitExhausted', limitText(exceeded), { details: { ...exceeded } });
}

/** Pauses a run whose worker, if it has one, is asked to let go first. */
function held(
  run: OpenRun,
  events: readonly RunEvent[],
  { reason, given }: { readonly reason: string; readonly given: Given },
): readonly RunEvent[] {
  const state = events.reduce<RunState>(evolve, run);
  if (!isOpen(state) || state.pause !== undefined || state.status === 'paused') return events;
  const { nowMs, commandId } = given.at;
  const requested: RunEvent = { type: 'RunPauseRequested', data: { reason, commandId, requestedAtMs: nowMs } };
  if (state.status === 'active') return [...events, requested];
  return [...events, requested, { type: 'RunPaused', data: { reason } }];
}

function failure(code: string, message: string, endedAtMs: number): RunEvent {
  return { type: 'RunFailed', data: { error: { code, message, reaction: 'terminal' }, endedAtMs } };
}
