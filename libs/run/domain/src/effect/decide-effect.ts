import { accept, mustBeClaimed, type Decision, type ErrorRecord } from '@perdure/kernel';
import type { ProgressEntry, RunEvent, RunEventOf, RunRejection } from '@perdure/run-contract';
import { EFFECT_SKEW_MS, EFFECT_START_WITHIN_MS, EXECUTIONS_MAX, PROBE_RETRY } from '../bounds';
import { closing, isUnknownAgent } from '../closing';
import { recallCommand } from '../command-memory';
import { notingPooled } from './pooled';
import { needsClaim, refusedClaim, resultWithoutGrant, underGrant } from '../approval/decide-approval';
import { patienceEndedWith } from './patience';
import { commandExpired, notYet, refusal, unknownCall } from '../rejection';
import { retryDelayMs } from './retry';
import type { DecidedCommand, ResolveEffect } from '../run.commands';
import { isStillAsked } from '../undo/evolve-undo';
import { evolve } from '../run.evolve';
import {
  hasWork,
  isOpen,
  woken,
  type EffectExecution,
  type OpenCall,
  type OpenRun,
  type OpenTool,
  type RunState,
} from '../run.state';
import { undoLimits } from '../undo/undoing';

/**
 * The ledger of effects that must not be doubled.
 *
 * 1. An execution begins only after its claim is a fact, once an attempt.
 * 2. Whatever ends an activation makes its dispatched effects unknown in the same append.
 * 3. Unknown becomes known by a probe that begins after the execution is over, or by a person: never by trying.
 */
type RunDecision = Decision<RunEvent, RunRejection>;
type Report = Pick<DecidedCommand, 'at' | 'code'>;
type EntryOf<T extends ProgressEntry['type']> = Extract<ProgressEntry, { type: T }>;
type Unknown = RunEventOf<'EffectUnknown'>['data'];

export function effectClaimed(entry: EntryOf<'effect-claimed'>, run: OpenRun, report: Report): RunDecision {
  const { call, attempt, executionId } = entry;
  const open = run.calls.get(call);
  if (isTold(run, call)) return accept();
  if (open?.kind === 'tool' && isFormer(open, attempt))
    return accept<RunEvent>({ type: 'EffectNotStarted', data: { call, attempt, executionId, reason: 'too-late' } });
  if (open?.kind !== 'tool' || open.attempt !== attempt || open.waitsForRetry) return unknownCall(call);
  if (!needsClaim(open))
    return refusal('EffectNotClaimed', `The effect ${call} is ${open.effectClass}: it runs without a claim.`);
  if (open.execution !== undefined) {
    const isRepeat = open.execution.stage === 'under-way' && open.execution.executionId === executionId;
    return isRepeat ? accept() : alreadyClaimed(call, attempt);
  }
  const execution = { call, attempt, executionId };
  if (run.cancel !== undefined)
    return accept<RunEvent>({ type: 'EffectNotStarted', data: { ...execution, reason: 'cancel-requested' } });
  if (run.pause !== undefined)
    return accept<RunEvent>({ type: 'EffectNotStarted', data: { ...execution, reason: 'pause-requested' } });
  const refused = refusedClaim(entry, run, report);
  if (refused !== undefined) return refused;
  const ended = patienceEndedWith(run, call, report);
  if (ended.length > 0) return accept(...ended);
  const manifest = report.code.tool(open.tool);
  if (manifest === undefined) return refusal('UnknownTool', `This build registered no tool named ${open.tool}.`);
  const startByMs = report.at.nowMs + EFFECT_START_WITHIN_MS;
  const undo = undoLimits(run, open, manifest);
  const overByMs = startByMs + (undo.timeoutMs ?? manifest.timeoutMs) + EFFECT_SKEW_MS;
  return accept<RunEvent>({
    type: 'EffectDispatched',
    data: {
      ...execution,
      startByMs,
      overByMs,
      hasProbe: manifest.hasProbe === true && !undo.isDeclared,
      ...underGrant(open),
    },
  });
}

/** The owner has ended it, and whoever holds the run has not heard of it: what is said of it meanwhile is late, and not wrong. */
export function isTold(run: OpenRun, call: string): boolean {
  return !run.calls.has(call) && run.inbound.some((fact) => fact.call === call && fact.kind === 'tool');
}

/** The owner's patience with the attempt has ended, and the claim or the failure has crossed that on its way. */
export function isFormer({ deadLetter, series }: OpenTool, attempt: number): boolean {
  return deadLetter !== undefined || attempt <= series.attemptsBefore;
}

export function effectNotStarted(entry: EntryOf<'effect-not-started'>, run: OpenRun): RunDecision {
  const { call, attempt, executionId } = entry;
  if (dispatched(run, entry) === undefined) return unknownCall(call);
  return accept<RunEvent>({ type: 'EffectNotStarted', data: { call, attempt, executionId, reason: 'too-late' } });
}

/** Nobody waits for it: what comes late, of an attempt that is over, changes nothing and is not wrong. */
export function effectProgressed({ call, attempt, detail }: EntryOf<'effect-progressed'>, run: OpenRun): RunDecision {
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.attempt !== attempt || open.waitsForRetry || open.deadLetter !== undefined) return accept();
  if (open.execution?.stage !== 'under-way' && (needsClaim(open) || open.pool !== undefined)) return accept();
  return accept<RunEvent>({ type: 'EffectProgressed', data: { call, attempt, detail } });
}

export function effectUnknown(entry: EntryOf<'effect-unknown'>, run: OpenRun, report: Report): RunDecision {
  const open = dispatched(run, entry);
  if (open === undefined) return unknownCall(entry.call);
  return accept(...becomesUnknown(open, { because: entry.because, error: entry.error }, report.at.nowMs));
}

/** A result, or a failure that says that nothing happened, of an effect that may have to be claimed. */
export function refusedResult(
  entry: EntryOf<'effect-result'>,
  open: OpenTool,
  { run, report }: { readonly run: OpenRun; readonly report: Report },
): RunDecision | undefined {
  if (!needsClaim(open)) return undefined;
  // What was not begun can fail, by arguments that do not fit; it cannot succeed.
  if (open.execution === undefined && !entry.outcome.ok) return undefined;
  if (open.execution?.stage === 'under-way') return undefined;
  if (open.approval !== undefined) return resultWithoutGrant(open, run, report);
  return refusal('EffectNotClaimed', `The effect ${entry.call} is ${open.effectClass}, and this execution was never claimed.`);
}

export function probeResult(entry: EntryOf<'probe-result'>, run: OpenRun, report: Report): RunDecision {
  const { call, attempt, executionId, probe, found } = entry;
  const open = run.calls.get(call);
  const execution = open?.kind === 'tool' ? open.execution : undefined;
  const isAsked = execution?.stage === 'probe-due' && execution.executionId === executionId && execution.probe === probe;
  if (open?.kind !== 'tool' || execution === undefined || !isAsked || open.attempt !== attempt) return unknownCall(call);
  const of = { call, attempt, executionId };
  switch (found.verdict) {
    case 'happened':
      return accept<RunEvent>(
        ...closing(run, report.code, [
          { type: 'EffectReconciled', data: { ...of, verdict: 'happened', by: 'probe' } },
          { type: 'EffectConfirmed', data: { call, attempt, result: found.result } },
        ]),
      );
    case 'absent':
      if (attempt >= EXECUTIONS_MAX) {
        const why = `${attempt} executions were begun, and by the probe of ${open.tool} none of them happened.`;
        return accept<RunEvent>(question(open, execution, { because: 'never-happens', why }));
      }
      return accept(...dueAgain(run, report, { type: 'EffectReconciled', data: { ...of, verdict: 'absent', by: 'probe' } }));
    case 'unknown':
      return accept(...undecided(open, execution, { error: found.error, report }));
  }
}

function undecided(
  open: OpenTool,
  execution: EffectExecution,
  { error, report }: { readonly error: ErrorRecord; readonly report: Report },
): readonly RunEvent[] {
  const { call, attempt } = open;
  const { executionId, probe } = execution;
  const delayMs = retryDelayMs(PROBE_RETRY, probe, report.at.fraction);
  const probed = { call, attempt, executionId, probe, error };
  if (delayMs === undefined) {
    const why = `The probe of ${open.tool} did not find out in ${probe} tries; at last: ${textOf(error)}`;
    return [{ type: 'EffectProbed', data: probed }, question(open, execution, { because: 'undecided', why })];
  }
  const retryAtMs = report.at.nowMs + delayMs;
  return [{ type: 'EffectProbed', data: { ...probed, retryAtMs } }, probeTimer({ ...probed, probe: probe + 1 }, retryAtMs)];
}

/** It may run again, unless the time for all of its attempts is over. */
function dueAgain(
  run: OpenRun,
  given: Pick<DecidedCommand, 'at' | 'code'>,
  reconciled: RunEventOf<'EffectReconciled'>,
): readonly RunEvent[] {
  const after = evolve(run, { ...reconciled, atMs: given.at.nowMs });
  return isOpen(after) ? [reconciled, ...patienceEndedWith(after, reconciled.data.call, given)] : [reconciled];
}

/** A person's answer. Whatever it is, it is given once, and never lets an effect run beside an execution that may be under way. */
export function decideResolve(
  { command, at, code }: DecidedCommand & { readonly command: ResolveEffect },
  run: OpenRun,
): RunDecision {
  const memory = recallCommand(run, at.commandId);
  if (memory === 'repeated') return accept();
  if (memory === 'expired') return commandExpired();
  const { call, resolution, by, reason } = command;
  if (by.kind !== 'user') return refusal('OnlyAPersonMay', `A ${by.kind} may not say what became of an effect; a user decides.`);
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.execution?.stage !== 'in-question') return notInQuestion(run, call);
  const { executionId, overByMs } = open.execution;
  if (resolution === 'absent' && at.nowMs < overByMs) {
    const message = `The execution ${executionId} may be under way until ${new Date(overByMs).toISOString()}. Look again then: only afterwards may it run again.`;
    return notYet('EffectMayStillRun', message, overByMs - at.nowMs);
  }
  if (run.ending === undefined && isUnknownAgent(run, code))
    return refusal('UnknownAgent', `No registered build hosts ${run.request.name}: start a worker that does, then answer again.`);
  const { attempt } = open;
  const said = reason === undefined ? {} : { reason };
  const reconciled: RunEvent = {
    type: 'EffectReconciled',
    data: { call, attempt, executionId, verdict: resolution, by: `${by.kind}:${by.id}`, ...said, commandId: at.commandId },
  };
  const end = endByPerson(open, command);
  const events = end === undefined ? dueAgain(run, { at, code }, reconciled) : closing(run, code, [reconciled, end]);
  const after = events.reduce<RunState>(evolve, run);
  return accept(...events, ...(isOpen(after) && after.status === 'suspended' && hasWork(after) ? [woken(after)] : []));
}

function endByPerson({ call, attempt, tool }: OpenTool, { resolution, result, reason }: ResolveEffect): RunEvent | undefined {
  if (resolution === 'absent') return undefined;
  if (resolution === 'happened') return { type: 'EffectConfirmed', data: { call, attempt, result: result ?? null } };
  const message = `${tool} did not succeed, as a person has found out${reason === undefined ? '' : `: ${reason}`}`;
  return { type: 'EffectFailed', data: { call, attempt, error: { code: 'EffectFailed', message, reaction: 'terminal' } } };
}

function notInQuestion(run: OpenRun, call: string): RunDecision {
  const open = run.calls.get(call);
  const stands =
    open?.kind !== 'tool'
      ? 'it was never intended, it has ended, or it was answered already'
      : open.execution === undefined
        ? 'it has not been begun'
        : STAGES[open.execution.stage];
  return refusal('EffectNotInQuestion', `Nobody is asked about the effect ${call}: ${stands}.`, { details: { call } });
}

const STAGES: Readonly<Record<EffectExecution['stage'], string>> = {
  'under-way': 'it is under way',
  unknown: 'its destination will be asked',
  'probe-due': 'its destination is being asked',
  'in-question': 'it waits for an answer',
  answered: 'it was answered',
};

/** Puts before each fact that ends an activation that its dispatched effects are unknown. */
export function settled(run: RunState, events: readonly RunEvent[], nowMs: number): readonly RunEvent[] {
  if (
    !isOpen(run) ||
    !(
      isToSettle(run) ||
      events.some(({ type, data }) => type === 'EffectDispatched' || (type === 'EffectIntended' && data.pool !== undefined))
    )
  )
    return events;
  const isEnd = events.reduce<RunState>(evolve, run).status === 'ended';
  const all: RunEvent[] = [];
  let state: RunState = run;
  for (const event of events) {
    const after = evolve(state, event);
    if (isOpen(state) && (after.status !== state.status || event.type === 'RunEnding')) {
      const mark = event.report === undefined ? {} : { report: event.report };
      const isEndOf = (call: OpenCall): boolean => isEnd || (event.type === 'RunEnding' && !isStillAsked(call));
      const isOver = after.status === 'ended' || event.type === 'RunEnding';
      for (const unknown of unknownIn(state, { isOver, isEndOf, nowMs })) {
        all.push({ ...unknown, ...mark });
        state = evolve(state, { ...unknown, ...mark });
      }
    }
    const noted = isOpen(state) ? notingPooled(state, event) : event;
    all.push(noted);
    state = evolve(state, noted);
  }
  return all;
}

function isToSettle(run: OpenRun): boolean {
  for (const call of run.calls.values())
    if (call.kind === 'tool' && (call.pool !== undefined || call.execution?.stage === 'under-way')) return true;
  return false;
}

interface Letting {
  /** With this very fact. What a pool executes does not end before. */
  readonly isOver: boolean;
  /** The run ends with what is decided, so nobody will find out any more. */
  isEndOf(call: OpenCall): boolean;
  readonly nowMs: number;
}

function unknownIn(run: OpenRun, { isOver, isEndOf, nowMs }: Letting): readonly RunEvent[] {
  return [...run.calls.values()].flatMap((call) => {
    if (call.kind !== 'tool' || call.execution?.stage !== 'under-way') return [];
    const isPooled = call.pool !== undefined;
    if (isPooled ? !isOver : run.status !== 'active') return [];
    const open = { ...call, execution: call.execution };
    const because = isPooled ? 'run-ended' : 'activation-ended';
    // In a run that ends nothing runs again: whether it happened, and is to be undone, is found out.
    const mayRunAgain = !isOver && !isEndOf(call) && !mustBeClaimed(call.effectClass);
    if (mayRunAgain && run.status === 'active') return [again(open, run.activation.workerId)];
    const [unknown, ...next] = becomesUnknown(open, { because }, nowMs);
    return isEndOf(call) ? [unknown] : [unknown, ...next];
  });
}

/** What was claimed for its approval alone may run again, under the same grant and key. */
function again(
  { call, attempt, losses, execution }: OpenTool & { readonly execution: EffectExecution },
  workerId: string,
): RunEvent {
  const { executionId } = execution;
  return { type: 'EffectLost', data: { call, attempt, executionId, workerId, losses: losses + 1 } };
}

export function becomesUnknown(
  open: OpenTool & { readonly execution: EffectExecution },
  how: Pick<Unknown, 'because' | 'error'>,
  nowMs: number,
): readonly [RunEvent, ...RunEvent[]] {
  const { call, attempt, execution } = open;
  const { executionId, overByMs, hasProbe } = execution;
  const { because, error } = how;
  const of = { call, attempt, executionId };
  const unknown: RunEvent = { type: 'EffectUnknown', data: { ...of, because, ...(error === undefined ? {} : { error }) } };
  if (hasProbe) return [unknown, probeTimer({ ...of, probe: 1 }, Math.max(nowMs, overByMs))];
  const lost = because === 'worker-lost' ? 'The worker that executed it was lost' : 'Its activation ended while it was under way';
  const cause = error === undefined ? lost : textOf(error);
  return [unknown, question(open, execution, { because: 'no-probe', why: `${cause}. ${open.tool} has no probe.` })];
}

function probeTimer(of: { readonly call: string; readonly attempt: number; readonly probe: number }, dueAtMs: number): RunEvent {
  const { call, attempt, probe } = of;
  return { type: 'TimerSet', data: { timerId: `probe-${call}-${attempt}-${probe}`, purpose: 'probe', call, dueAtMs } };
}

function question(
  open: OpenTool,
  execution: EffectExecution,
  cause: Pick<RunEventOf<'EffectQuestioned'>['data'], 'because' | 'why'>,
): RunEvent {
  const { call, attempt, tool, effectClass, args, toolCallId } = open;
  const { executionId, startByMs, overByMs } = execution;
  const asked = toolCallId === undefined ? {} : { toolCallId };
  return {
    type: 'EffectQuestioned',
    data: { call, attempt, executionId, tool, effectClass, args, ...asked, startByMs, overByMs, ...cause },
  };
}

function dispatched(
  run: OpenRun,
  { call, attempt, executionId }: { readonly call: string; readonly attempt: number; readonly executionId: string },
): (OpenTool & { readonly execution: EffectExecution }) | undefined {
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.attempt !== attempt || open.execution === undefined) return undefined;
  const { execution } = open;
  return execution.stage === 'under-way' && execution.executionId === executionId ? { ...open, execution } : undefined;
}

function alreadyClaimed(call: string, attempt: number): RunDecision {
  return refusal('EffectAlreadyClaimed', `Attempt ${attempt} of the effect ${call} was claimed by another execution.`, {
    details: { call, attempt },
  });
}

const WHY_LENGTH_MAX = 4_000;

function textOf({ code, message }: ErrorRecord): string {
  return `${code}: ${message}`.slice(0, WHY_LENGTH_MAX);
}
