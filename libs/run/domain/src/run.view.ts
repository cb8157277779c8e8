import { mustBeClaimed } from '@perdure/kernel';
import type { OpenPromise, RunView } from '@perdure/run-contract';
import type { ToolApproval } from './approval/approval.state';
import { ARGUMENTS_SHOWN_MAX } from './bounds';
import { addSpending, nothingSpent } from './guard/run.guard';
import { waitForBuild, type Surroundings } from './pin/pin.view';
import { whyWithheld } from './effect/pooled';
import { extendText } from './guard/decide-guard';
import { answerersOf, type RunTask } from './task/task.state';
import {
  isOpen,
  type EffectExecution,
  type EndedRun,
  type OpenCall,
  type OpenChild,
  type OpenMessage,
  type OpenRun,
  type OpenTimer,
  type OpenTool,
} from './run.state';

/** What anyone may ask of a run: where it stands, and the named promises that it waits on. */
export function viewOf(
  address: { readonly tenant: string; readonly runId: string },
  run: OpenRun | EndedRun,
  surroundings: Surroundings = {},
): RunView {
  const { kind, name, requestedAtMs } = run.request;
  const { spent, limits, turn } = run;
  const { parent } = run.request;
  const inTree = run.spentByChildren === nothingSpent ? {} : { spentByTree: addSpending(spent, run.spentByChildren) };
  const used = {
    spent,
    ...inTree,
    ...(kind === 'agent' ? { turn } : {}),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
  const common = {
    ...address,
    kind,
    name,
    requestedAtMs,
    revision: run.revision,
    epoch: run.epoch,
    ...branchOf(run),
    ...used,
    ...(parent === undefined ? {} : { parent }),
  };
  if (!isOpen(run)) {
    const { outcome, endedAtMs, cancelRequested } = run;
    return {
      ...common,
      status: 'ended',
      sinceMs: endedAtMs,
      endedAtMs,
      cancelRequested,
      waitingOn: [],
      outcome,
      ...unknownOf(run),
      ...(run.effects === undefined ? {} : { effects: run.effects }),
    };
  }
  return {
    ...common,
    status: run.status === 'placing' ? 'active' : run.status,
    sinceMs: run.sinceMs,
    ...(run.status === 'active' ? { workerId: run.activation.workerId } : {}),
    ...(run.pin === undefined ? {} : { buildId: run.pin }),
    ...(run.status === 'paused' ? { pausedBecause: run.because } : {}),
    cancelRequested: run.cancel !== undefined || run.ending?.cancelRequested === true,
    ...endingOf(run),
    ...(run.pause === undefined ? {} : { pauseRequested: true }),
    ...(run.signals.length === 0 ? {} : { unreadSignals: run.signals.length }),
    waitingOn: [...ofEnding(run), ...standing(run, surroundings), ...[...run.calls.values()].map((call) => ofCall(run, call))],
  };
}

function branchOf({ branch }: OpenRun | EndedRun): Pick<RunView, 'branch'> {
  return branch === 0 ? {} : { branch };
}

function unknownOf({ unknownEffects }: EndedRun): Pick<RunView, 'unknownEffects'> {
  return unknownEffects.length === 0 ? {} : { unknownEffects: [...unknownEffects] };
}

function endingOf({ ending, undo }: OpenRun): Pick<RunView, 'ending'> {
  if (ending === undefined) return {};
  const { outcome, undoByMs, undone } = ending;
  return { ending: { outcome: outcome.status, undone: undone.length, left: undo.entries.length, undoByMs } };
}

function ofEnding({ ending, undo }: OpenRun): readonly OpenPromise[] {
  if (ending === undefined) return [];
  const { outcome, sinceMs, undoByMs, undone, notUndone } = ending;
  const failed = notUndone.length === 0 ? '' : `, ${notUndone.length} could not be`;
  return [
    {
      promise: 'compensation',
      keeper: 'orchestrator',
      id: 'undo',
      sinceMs,
      dueAtMs: undoByMs,
      detail: `the run is to end as ${outcome.status}: ${undone.length} effects are undone${failed}, ${undo.entries.length} are left`,
      closedBy: 'each effect is undone, newest first, or given up; at the latest when this is due',
    },
  ];
}

function standing(run: OpenRun, surroundings: Surroundings): readonly OpenPromise[] {
  const { sinceMs } = run;
  const forBuild = waitForBuild(run, surroundings);
  const { pool, name } = run.request;
  switch (run.status) {
    case 'queued':
      return [
        {
          promise: 'release',
          keeper: 'admission',
          id: pool,
          sinceMs,
          detail: `a free slot in pool ${pool}`,
          closedBy: `a worker of pool ${pool} that hosts ${name} has a free slot, and it is this run's turn`,
          ...forBuild,
        },
      ];
    case 'placing':
      return [
        {
          promise: 'activation',
          keeper: 'orchestrator',
          id: `epoch-${run.epoch + 1}`,
          sinceMs,
          detail: 'another worker, after an activation was lost',
          closedBy: `a live worker of pool ${pool} that hosts ${name} takes it up, under the permit that it holds`,
          ...forBuild,
        },
      ];
    case 'active':
      return [
        {
          promise: 'progress',
          keeper: 'orchestrator',
          id: `epoch-${run.epoch}`,
          sinceMs,
          detail: `worker ${run.activation.workerId}`,
          closedBy: 'a report of that worker; should its heartbeats end, another one goes on with the run',
        },
      ];
    case 'paused':
      return [
        {
          promise: 'resume',
          keeper: 'person',
          id: 'pause',
          sinceMs,
          detail: run.because,
          closedBy: resumeText(run),
        },
      ];
    case 'suspended':
      return [];
  }
}

function resumeText({ guard: { hold } }: OpenRun): string {
  if (hold === undefined || hold === 'loop') return 'somebody resumes the run when the cause is gone, or cancels it';
  return `somebody extends the limit, or cancels the run. ${extendText(hold)}`;
}

function ofCall(run: OpenRun, call: OpenCall): OpenPromise {
  const { sinceMs } = call;
  if (call.kind === 'wait') return call.task === undefined ? ofWait(run, call) : ofTask(call.call, call.task);
  if (call.kind === 'child') return ofChild(call);
  if (call.kind === 'message') return ofMessage(call);
  if (call.kind === 'tool' && call.deadLetter !== undefined) return ofDeadLetter(call);
  if (call.kind === 'sleep' || call.waitsForRetry) return ofTimer(run, call);
  if (call.kind === 'tool' && call.approval?.stage === 'waiting') return ofApproval(call, call.approval);
  if (call.kind === 'tool' && call.pool !== undefined && !isWithPerson(call)) return ofPooled(run, call, call.pool);
  if (call.kind === 'tool' && call.execution !== undefined) return ofExecution(run, call, call.execution);
  const reporter = run.status === 'active' ? `worker ${run.activation.workerId}` : 'the next worker that holds the run';
  const closedBy = `${reporter} reports how attempt ${call.attempt} ended`;
  return call.kind === 'model'
    ? { promise: 'model-call', keeper: 'orchestrator', id: call.call, sinceMs, detail: call.model, closedBy }
    : { promise: 'effect', keeper: 'orchestrator', id: call.call, sinceMs, detail: `${titleOf(call)}${saidBy(call)}`, closedBy };
}

function ofApproval({ call, tool, args, sinceMs }: OpenTool, approval: ToolApproval): OpenPromise {
  const { roles, quorum, votes, expiresAtMs, requestedBy, separationOfDuties, policy } = approval;
  const left = quorum - votes.length;
  const agreed = votes.length === 0 ? '' : `, ${votes.map(({ statement }) => statement.approver).join(', ')} agreed`;
  const others = separationOfDuties ? ` other than ${requestedBy}` : '';
  const persons = left <= 1 ? 'somebody' : `${left} persons`;
  return {
    promise: 'approval',
    keeper: 'person',
    id: call,
    sinceMs,
    dueAtMs: expiresAtMs,
    detail: `${tool} ${shortText(args)}: the policy ${policy} asks for an approval${agreed}`,
    closedBy: `${persons} with the role ${roles.join(' or ')}${others} decides: perdure approvals approve|deny <run> ${call}; without it the effect fails when it is due`,
  };
}

function ofExecution(run: OpenRun, open: OpenTool, { stage, note, executionId }: EffectExecution): OpenPromise {
  const { call, tool, sinceMs } = open;
  const kept = { promise: 'effect', keeper: 'orchestrator', id: call, sinceMs, detail: `${tool}${saidBy(open)}` } as const;
  switch (stage) {
    case 'unknown':
      return { ...ofTimer(run, open), detail: `whether ${tool} ${call} happened: its destination is asked then` };
    case 'probe-due':
      return { ...kept, closedBy: `the worker that holds the run asks the destination of ${tool} what became of ${executionId}` };
    case 'in-question':
      return {
        ...kept,
        promise: 'answer',
        keeper: 'person',
        detail: `${tool} ${shortText(open.args)}: ${note}`,
        closedBy: `somebody looks whether it happened, and says so: perdure effects resolve <run> ${call} --as happened|absent|failed`,
      };
    case 'under-way':
    case 'answered':
      return { ...kept, closedBy: `a report of how execution ${executionId} ended; should its worker be lost, it is found out` };
  }
}

/** What waits for a timer or a person is the same whoever executes. */
function isWithPerson({ execution }: OpenTool): boolean {
  return execution?.stage === 'unknown' || execution?.stage === 'in-question' || execution?.stage === 'answered';
}

function ofPooled(run: OpenRun, open: OpenTool, pool: string): OpenPromise {
  const { call, tool, sinceMs, attempt, execution } = open;
  const kept = { promise: 'effect', keeper: 'orchestrator', id: call, sinceMs } as const;
  const anyOfPool = `a live worker of pool ${pool} that hosts ${tool}`;
  if (execution?.executor !== undefined && execution.stage === 'under-way') {
    const { workerId } = execution.executor;
    const closedBy = `a report of ${workerId} how execution ${execution.executionId} ended; should its heartbeats end, ${mustBeClaimed(open.effectClass) ? 'it is found out' : 'another worker executes it again'}`;
    return { ...kept, detail: `${tool} at ${workerId} of pool ${pool}${saidBy(open)}`, closedBy };
  }
  if (execution !== undefined) {
    const closedBy = `${anyOfPool} asks the destination what became of ${execution.executionId}`;
    return { ...kept, detail: `whether ${tool} ${call} happened`, closedBy };
  }
  const withheld = whyWithheld(run);
  const closedBy = `${anyOfPool} has a free slot, claims attempt ${attempt} and reports how it ended`;
  return {
    ...kept,
    detail: `${tool}, by pool ${pool}`,
    closedBy: withheld === undefined ? closedBy : `not while ${withheld}; then ${closedBy}`,
  };
}

/** How far it is, by its own words. */
function saidBy({ heartbeat }: OpenTool): string {
  return heartbeat === undefined ? '' : `; attempt ${heartbeat.attempt} said: ${shortText(heartbeat.detail)}`;
}

function titleOf({ tool, undoes }: OpenTool): string {
  return undoes === undefined ? tool : `undoing ${tool} ${undoes}`;
}

function ofDeadLetter({ call, tool, args, sinceMs, lastError, deadLetter }: OpenTool): OpenPromise {
  const last = lastError === undefined ? '' : `; at last ${lastError.code}: ${lastError.message}`;
  return {
    promise: 'dead-letter',
    keeper: 'person',
    id: call,
    sinceMs,
    detail: `${tool} ${shortText(args)} is exhausted (${deadLetter?.because ?? ''})${last}`,
    closedBy: `somebody has it tried again, or gives it up: perdure dead-letters redrive|fail <run> ${call}`,
  };
}

function shortText(value: unknown): string {
  const text = JSON.stringify(value) ?? '';
  return text.length > ARGUMENTS_SHOWN_MAX ? `${text.slice(0, ARGUMENTS_SHOWN_MAX)}…` : text;
}

/** They end the patience with a call, and are not what it waits for. */
const BOUNDS: ReadonlySet<string> = new Set(['start', 'total', 'approval-expiry', 'approval-escalation']);

function ofWait(run: OpenRun, { call, signal, sinceMs }: Extract<OpenCall, { kind: 'wait' }>): OpenPromise {
  const dueAtMs = timerOf(run, call)?.dueAtMs;
  const sent = `somebody sends it: perdure run signal <run> ${signal}`;
  return {
    promise: 'signal',
    keeper: 'caller',
    id: call,
    sinceMs,
    ...(dueAtMs === undefined ? {} : { dueAtMs }),
    detail: `the signal ${signal}`,
    closedBy: dueAtMs === undefined ? sent : `${sent}; or its timer fires when it is due, and the code goes on without it`,
  };
}

function ofTask(call: string, task: RunTask): OpenPromise {
  const { title, askedAtMs, dueAtMs, expires } = task.terms;
  const due = dueAtMs ?? expires?.atMs;
  const end = expires === undefined ? '' : `; or it is over at ${new Date(expires.atMs).toISOString()} (${expires.action})`;
  return {
    promise: 'task',
    keeper: 'person',
    id: call,
    sinceMs: askedAtMs,
    ...(due === undefined ? {} : { dueAtMs: due }),
    detail: `an answer of ${answerersOf(task).join(' or ')}: ${title}`,
    closedBy: `one of them answers: perdure task answer <run> ${call}${end}`,
  };
}

function ofChild({ call, child, name, sinceMs, isDetached }: OpenChild): OpenPromise {
  const closedBy = isDetached ? `the run ${child} is started` : `the run ${child} ends: perdure run why ${child}`;
  return { promise: 'child', keeper: 'orchestrator', id: call, sinceMs, detail: `${name}, the run ${child}`, closedBy };
}

function ofMessage({ call, to, name, sinceMs }: OpenMessage): OpenPromise {
  const closedBy = `the owner of ${to} has taken it, or says that it never will: perdure run why ${to}`;
  return { promise: 'message', keeper: 'orchestrator', id: call, sinceMs, detail: `the message ${name} to ${to}`, closedBy };
}

function ofTimer(run: OpenRun, call: Exclude<OpenCall, { kind: 'wait' | 'child' | 'message' }>): OpenPromise {
  const timer = timerOf(run, call.call);
  return {
    promise: 'timer',
    keeper: 'timers',
    id: timer?.timerId ?? call.call,
    sinceMs: call.sinceMs,
    ...(timer === undefined ? {} : { dueAtMs: timer.dueAtMs }),
    detail: call.kind === 'sleep' ? `sleep ${call.call}` : `attempt ${call.attempt + 1} of ${call.call}`,
    closedBy: 'the timer fires when it is due',
  };
}

function timerOf(run: OpenRun, call: string): OpenTimer | undefined {
  return [...run.timers.values()].find(({ call: of, purpose }) => of === call && !BOUNDS.has(purpose));
}
