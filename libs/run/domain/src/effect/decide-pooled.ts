import { accept, mustBeClaimed, type Decision } from '@perdure/kernel';
import type { ClaimAnswer, ExecutionEntry, Executor, RunCommandOf, RunEvent, RunRejection } from '@perdure/run-contract';
import { EFFECT_SKEW_MS, EFFECT_START_WITHIN_MS, EXECUTIONS_MAX } from '../bounds';
import { closing } from '../closing';
import { refusedClaim, underGrant } from '../approval/decide-approval';
import { becomesUnknown, effectNotStarted, effectProgressed, effectUnknown, probeResult } from './decide-effect';
import { ensuing } from '../lifecycle/ensuing';
import { effectResult } from '../lifecycle/decide-progress';
import { overdue } from './exhaustion';
import { notTheExecutor } from './not-the-executor';
import { isPooled, isUnderWay, whyWithheld, type PooledExecution } from './pooled';
import { notYet, refusal } from '../rejection';
import type { ClaimEffect, DecidedCommand, LoseExecution, ReportEffect } from '../run.commands';
import { isOpen, type OpenRun, type RunState } from '../run.state';

/**
 * Effects that workers of the tool's own pool execute.
 *
 * 1. Whoever executes is a live worker of that pool, by its own heartbeats, whose build hosts the tool, and shows the ticket of
 *    the offer that was sent to it alone: the owner has looked.
 * 2. What the tool is, the executor's build says at the claim: class, limit and probe. What was intended came from elsewhere.
 * 3. An execution is claimed once an attempt, for exactly the arguments of the intention, whatever the class.
 * 4. It does not end with an activation, but by a report of its executor, by the loss of that executor, or with the run.
 */
type RunDecision = Decision<RunEvent, RunRejection>;
type Given<C> = DecidedCommand & { readonly command: C };

export function decideClaim({ command, at, code }: Given<ClaimEffect>, run: OpenRun): RunDecision {
  const { call, attempt, executionId, executor, argsHash } = command;
  if ((command.branch ?? 0) !== run.branch) return notDue(call, 'the run was rewound, and what goes by that name is another');
  const open = run.calls.get(call);
  if (open === undefined || !isPooled(open) || open.attempt !== attempt || open.waitsForRetry)
    return notDue(call, 'it was never intended for a pool, has ended, or is at another attempt');
  const manifest = code.tool(open.tool);
  if (open.pool !== executor.pool || manifest?.pool !== open.pool || manifest.declaredOnly === true)
    return notTheExecutor(open, executor.workerId);
  if ((open.approval?.argsHash ?? open.argsHash) !== argsHash)
    return refusal('ArgumentsChanged', `The effect ${call} was intended with other arguments than those that would be executed.`);
  if (open.execution !== undefined) {
    const isRepeat = open.execution.stage === 'under-way' && open.execution.executionId === executionId;
    return isRepeat ? accept() : alreadyClaimed(call, attempt);
  }
  const refused = refusedClaim(command, run, { at, code });
  if (refused !== undefined) return refused;
  if (!command.isOffered) return notTheExecutor(open, executor.workerId);
  const withheld = whyWithheld(run);
  if (withheld !== undefined) return notDue(call, withheld);
  if (open.deadLetter !== undefined || overdue(run, open, at.nowMs) !== undefined)
    return notDue(call, 'it is exhausted, and no attempt of it begins any more');
  const startByMs = at.nowMs + EFFECT_START_WITHIN_MS;
  const overByMs = startByMs + manifest.timeoutMs + EFFECT_SKEW_MS;
  const { effectClass, hasProbe = false } = manifest;
  return accept<RunEvent>({
    type: 'EffectDispatched',
    data: { call, attempt, executionId, startByMs, overByMs, hasProbe, executor, effectClass, ...underGrant(open) },
  });
}

/** What the claim leads to: granted, if this very execution is dispatched. */
export function claimAnswerOf({ call, attempt, executionId }: RunCommandOf<'ClaimEffect'>, state: RunState): ClaimAnswer {
  const open = isOpen(state) ? state.calls.get(call) : undefined;
  const isGranted =
    open !== undefined &&
    isPooled(open) &&
    isUnderWay(open) &&
    open.execution.executionId === executionId &&
    open.attempt === attempt;
  return isGranted ? { mayBegin: [{ call, attempt, executionId, startWithinMs: EFFECT_START_WITHIN_MS }] } : {};
}

export function decideReport({ command, at, code }: Given<ReportEffect>, run: OpenRun): RunDecision {
  const { call, attempt, executionId, entry, executor } = command;
  const open = run.calls.get(call);
  // Reported before, or overtaken by what was decided without it: nothing of it is open.
  if (open === undefined || !isPooled(open) || open.attempt !== attempt) return accept();
  // What was not begun can fail, by arguments that do not fit; it cannot succeed.
  const isRefusal = open.execution === undefined && entry.type === 'effect-result' && !entry.outcome.ok;
  if (entry.call !== call || (!isRefusal && open.execution?.executionId !== executionId)) return accept();
  if (executor.pool !== open.pool || code.tool(open.tool)?.pool !== open.pool) return notTheExecutor(open, executor.workerId);
  if (entry.type === 'probe-result') {
    if (open.execution?.stage !== 'probe-due' || open.execution.probe !== entry.probe) return accept();
  } else if (!isRefusal) {
    if (!isUnderWay(open)) return accept();
    if (!isSame(open.execution.executor, executor)) return notTheExecutor(open, executor.workerId);
  }
  // What nobody has claimed, only who was asked may say.
  if ((isRefusal || entry.type === 'probe-result') && !command.isOffered) return notTheExecutor(open, executor.workerId);
  if (isWithoutCode(run, code)) return withoutCode(run);
  const decision = ofEntry(entry, run, { at, code });
  return 'rejected' in decision ? decision : accept(...ensuing(run, decision.accepted, at.nowMs));
}

function isSame(left: Executor, right: Executor): boolean {
  return left.sessionId === right.sessionId && left.ticketHash === right.ticketHash;
}

function ofEntry(entry: ExecutionEntry, run: OpenRun, given: Pick<DecidedCommand, 'at' | 'code'>): RunDecision {
  switch (entry.type) {
    case 'effect-not-started':
      return effectNotStarted(entry, run);
    case 'effect-progressed':
      return effectProgressed(entry, run);
    case 'effect-result':
      return effectResult(entry, run, given);
    case 'effect-unknown':
      return effectUnknown(entry, run, given);
    case 'probe-result':
      return probeResult(entry, run, given);
  }
}

/** The executor is gone. What may be repeated is due again; of the rest nobody knows. */
export function decideLoseExecution({ command, at, code }: Given<LoseExecution>, run: OpenRun): RunDecision {
  const open = run.calls.get(command.call);
  if (open === undefined || !isPooled(open) || !isUnderWay(open)) return accept();
  if (open.execution.executionId !== command.executionId) return accept();
  const { nowMs } = at;
  if (mustBeClaimed(open.effectClass))
    return accept(...ensuing(run, becomesUnknown(open, { because: 'worker-lost' }, nowMs), nowMs));
  if (isWithoutCode(run, code)) return withoutCode(run);
  return accept(...ensuing(run, closingIfOver(open, run, code), nowMs));
}

function closingIfOver(open: PooledExecution, run: OpenRun, code: DecidedCommand['code']): readonly RunEvent[] {
  const { call, attempt, tool, losses, execution } = open;
  const { executionId, executor } = execution;
  const data = { call, attempt, executionId, workerId: executor.workerId, losses: losses + 1 };
  if (losses + 1 < EXECUTIONS_MAX) return [{ type: 'EffectLost', data }];
  const message = `${losses + 1} workers of the pool ${open.pool} were lost while they executed ${tool}. Find out what ends them, then start the run again.`;
  const error = { code: 'ToolWorkersLost', message, reaction: 'terminal' as const };
  return closing(run, code, [{ type: 'EffectFailed', data: { call, attempt, error } }]);
}

/** Only an agent needs it: what follows a result is decided with it. */
function isWithoutCode(run: OpenRun, code: DecidedCommand['code']): boolean {
  return run.request.kind === 'agent' && code.behaviour === undefined;
}

const NO_CODE_RETRY_MS = 1_000;

function withoutCode(run: OpenRun): RunDecision {
  return notYet('UnknownAgent', `No registered build hosts ${run.request.name}: start a worker that does.`, NO_CODE_RETRY_MS);
}

function notDue(call: string, why: string): RunDecision {
  return refusal('EffectNotDue', `The effect ${call} is not to be executed now: ${why}.`, { details: { call } });
}

function alreadyClaimed(call: string, attempt: number): RunDecision {
  return refusal('EffectAlreadyClaimed', `Attempt ${attempt} of the effect ${call} was claimed by another execution.`, {
    details: { call, attempt },
  });
}
