import { InvariantViolated } from '@perdure/kernel';
import type { ModelDecision, RunEvent, ToolCall } from '@perdure/run-contract';
import type { ChildTool, ToolManifest } from '@perdure/tenant-contract';
import { INVALID_OUTPUTS_MAX, TOOL_NAMES_SHOWN } from '../bounds';
import { approvalOf } from '../approval/request-approval';
import { compensationOf, limitsOf } from '../effect/exhaustion';
import type { Circumstances, Identities, KnownCode } from '../run.commands';
import type { OpenRun } from '../run.state';
import { askingFor } from '../task/asking';

/**
 * The loop of an agent: model, decisions, effects, model. It is not code that is replayed but this function
 * of the folded state, so that a new build of the agent simply goes on from where the run stands.
 */

interface Deciding extends Identities {
  readonly at: Circumstances;
  readonly code: KnownCode;
}

export function turnCall(turn: number): string {
  return `t${turn}`;
}

export function nextTurn(run: OpenRun, code: KnownCode): RunEvent {
  return intendModelCall(run, run.turn + 1, { code });
}

/** What follows a decision of the model: its tool calls, or the end of the run. */
export function afterDecision(run: OpenRun, decision: ModelDecision, given: Deciding): readonly RunEvent[] {
  const { behaviour } = given.code;
  const turnsMax = run.limits.turnsMax ?? behaviour?.limits.turnsMax;
  if (decision.toolCalls.length === 0) {
    // What came while the model was answering is news to it: it gets to answer that as well, if it has a turn left.
    const isOutdated = run.signals.length > 0 && run.cancel === undefined && !(turnsMax !== undefined && run.turn >= turnsMax);
    return isOutdated ? [intendModelCall(run, run.turn + 1, given)] : afterAnswer(run, decision, given);
  }
  const mayBeExtended = (run.limits.onLimit ?? behaviour?.limits.onLimit) === 'pause';
  if (!mayBeExtended && turnsMax !== undefined && run.turn >= turnsMax) return [turnLimitReached(turnsMax, given.at.nowMs)];
  const call = turnCall(run.turn);
  const events = decision.toolCalls.flatMap((toolCall, index) => intendTool({ run, call: `${call}.${index}` }, toolCall, given));
  const allFailed = decision.toolCalls.every((toolCall) => offeredTool(toolCall.tool, given.code) === undefined);
  return allFailed ? [...events, intendModelCall(run, run.turn + 1, given)] : events;
}

/** The end of the run, where the answer has the form that was asked for. */
function afterAnswer(
  run: OpenRun,
  { text, output, outputProblem }: ModelDecision,
  { at, code }: { readonly at: Circumstances; readonly code: KnownCode },
): readonly RunEvent[] {
  if (code.behaviour?.outputSchema === undefined || (output !== undefined && outputProblem === undefined)) {
    return [{ type: 'RunCompleted', data: { output: output === undefined ? text : output, endedAtMs: at.nowMs } }];
  }
  const problem = outputProblem ?? 'it was not checked by the worker';
  const attemptsMax = code.behaviour.guard?.invalidOutputsMax ?? INVALID_OUTPUTS_MAX;
  if (run.guard.invalidOutputs < attemptsMax && outputProblem !== undefined) {
    const tell = `Your answer does not have the form that is asked for: ${problem}. Answer again, with JSON of that form and nothing else.`;
    return [intendModelCall(run, run.turn + 1, { code, tell })];
  }
  const message = `The model did not answer in the form of the output, ${run.guard.invalidOutputs} times in a row; at last: ${problem}`;
  return [
    { type: 'RunFailed', data: { error: { code: 'InvalidModelOutput', message, reaction: 'terminal' }, endedAtMs: at.nowMs } },
  ];
}

/** What follows when a tool call of the present turn has ended: the next turn, once all have. */
export function afterToolResult(run: OpenRun, code: KnownCode): readonly RunEvent[] {
  if (run.calls.size > 0 || run.cancel !== undefined) return [];
  return [intendModelCall(run, run.turn + 1, { code })];
}

interface NextCall {
  readonly code: KnownCode;
  /** What the engine says to the model first. */
  readonly tell?: string;
}

/** With it the model is shown whatever has been sent since its last turn. */
function intendModelCall(run: OpenRun, turn: number, { code, tell }: NextCall): RunEvent {
  const { behaviour } = code;
  if (behaviour === undefined) throw new InvariantViolated('An agent was assigned to a build that does not host it.');
  const shown = run.signals.length === 0 ? {} : { signals: run.signals.map(({ revision }) => revision) };
  const told = tell === undefined ? {} : { tell };
  return {
    type: 'ModelCallIntended',
    data: { call: turnCall(turn), turn, model: run.request.model ?? behaviour.model, ...shown, ...told },
  };
}

function intendTool(
  { run, call }: { readonly run: OpenRun; readonly call: string },
  toolCall: ToolCall,
  given: Deciding,
): readonly RunEvent[] {
  const manifest = offeredTool(toolCall.tool, given.code);
  if (manifest?.child !== undefined) return [intendChild({ run, call, of: manifest.child }, toolCall, given)];
  if (manifest?.ask !== undefined) return askingFor({ run, call, of: manifest.ask }, toolCall, given.at.nowMs);
  const effect = {
    call,
    tool: toolCall.tool,
    effectClass: manifest?.effectClass ?? ('irreversible' as const),
    args: toolCall.args,
    argsHash: given.hash(toolCall.args),
    toolCallId: toolCall.toolCallId,
    intendedAtMs: given.at.nowMs,
    ...(manifest?.pool === undefined ? {} : { pool: manifest.pool }),
    ...(manifest === undefined ? {} : { ...limitsOf(manifest), ...compensationOf(manifest) }),
  };
  const intended: RunEvent = { type: 'EffectIntended', data: effect };
  if (manifest !== undefined) return [intended, ...approvalOf({ run, effect, manifest }, given)];
  const offered = given.code.behaviour?.tools.slice(0, TOOL_NAMES_SHOWN).join(', ') ?? '';
  const message = `There is no tool named ${toolCall.tool}. The tools of this agent are: ${offered}.`;
  return [
    intended,
    { type: 'EffectFailed', data: { call, attempt: 1, error: { code: 'UnknownTool', message, reaction: 'terminal' } } },
  ];
}

/** The model asks for a run of its own: what it gives is the result of the tool. */
function intendChild(
  { run, call, of }: { readonly run: OpenRun; readonly call: string; readonly of: ChildTool },
  { tool, toolCallId, args }: ToolCall,
  { childRun }: Deciding,
): RunEvent {
  const asTool = { tool, toolCallId };
  return { type: 'ChildRequested', data: { call, child: childRun(run.branch, call), input: args ?? null, ...of, asTool } };
}

/** A build holds the tools of all its agents: a model is given those of its own agent and no other. */
function offeredTool(name: string, code: KnownCode): ToolManifest | undefined {
  return code.behaviour?.tools.includes(name) === true ? code.tool(name) : undefined;
}

function turnLimitReached(turnsMax: number, endedAtMs: number): RunEvent {
  const message = `The agent used its ${turnsMax} turns without coming to an end. Raise limits.turnsMax or narrow the task.`;
  return { type: 'RunFailed', data: { error: { code: 'TurnLimitReached', message, reaction: 'terminal' }, endedAtMs } };
}
