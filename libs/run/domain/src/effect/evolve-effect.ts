import { InvariantViolated, unreachable } from '@perdure/kernel';
import type { Outcome, RunEvent, RunEventOf, RunEventType } from '@perdure/run-contract';
import { rememberCommand } from '../command-memory';
import { closeCall, impossible, openCall, withItem, with_ } from '../evolve-calls';
import { withEntry, withStaying, type UndoLedger } from '../undo/undo-ledger';
import { editedUseOf, nameInRun, type EffectExecution, type OpenRun, type OpenTool } from '../run.state';

/** What the facts of one effect change; that it failed is told with the failures of models. */
const TYPES = [
  'EffectIntended',
  'EffectDispatched',
  'EffectNotStarted',
  'EffectProgressed',
  'EffectUnknown',
  'EffectProbed',
  'EffectQuestioned',
  'EffectReconciled',
  'EffectConfirmed',
  'EffectLost',
  'EffectDeadLettered',
  'EffectRedriven',
  'EffectGivenUp',
] as const satisfies readonly RunEventType[];
export type EffectEventType = (typeof TYPES)[number];

export function isOfEffect(event: RunEvent): event is RunEventOf<EffectEventType> {
  return (TYPES as readonly string[]).includes(event.type);
}

export function evolveEffect(run: OpenRun, event: RunEventOf<EffectEventType>): OpenRun {
  switch (event.type) {
    case 'EffectIntended':
      return effectIntended(run, event);
    case 'EffectDispatched':
      return effectDispatched(run, event);
    case 'EffectNotStarted':
      return effectNotStarted(run, event);
    case 'EffectProgressed':
      return effectProgressed(run, event);
    case 'EffectUnknown':
      return effectUnknown(run, event);
    case 'EffectProbed':
      return effectProbed(run, event);
    case 'EffectQuestioned':
      return effectQuestioned(run, event);
    case 'EffectReconciled':
      return effectReconciled(remembering(run, event.data.commandId), event);
    case 'EffectConfirmed':
      return closeTool(run, event.data.call, { outcome: { ok: true, value: event.data.result } });
    case 'EffectDeadLettered':
      return deadLettered(run, event);
    case 'EffectRedriven':
      return redriven(rememberCommand(run, event.data.commandId), event);
    case 'EffectGivenUp':
      return givenUp(rememberCommand(run, event.data.commandId), event);
    case 'EffectLost':
      return effectLost(run, event);
    default:
      return unreachable(event);
  }
}

function remembering(run: OpenRun, commandId: string | undefined): OpenRun {
  return commandId === undefined ? run : rememberCommand(run, commandId);
}

function effectIntended(run: OpenRun, event: RunEventOf<'EffectIntended'>): OpenRun {
  const { call, tool, effectClass, pool, args, argsHash, toolCallId, intendedAtMs, limits, compensation, undoes } = event.data;
  const { editedBy } = event.data;
  const next = openCall(run, {
    kind: 'tool',
    call,
    tool,
    effectClass,
    pool,
    args,
    ...(editedBy === undefined ? {} : { editedBy }),
    argsHash,
    toolCallId,
    sinceMs: intendedAtMs,
    attempt: 1,
    waitsForRetry: false,
    losses: 0,
    execution: undefined,
    limits,
    series: { attemptsBefore: 0, sinceMs: intendedAtMs },
    lastError: undefined,
    deadLetter: undefined,
    compensation,
    undoes,
  });
  if (undoes !== undefined) return next;
  if (run.request.kind === 'agent') return next;
  return withItem(next, { type: 'made', call, kind: 'tool', name: tool, hash: argsHash });
}

function effectDispatched(run: OpenRun, event: RunEventOf<'EffectDispatched'>): OpenRun {
  const { call, attempt, executionId, startByMs, overByMs, hasProbe, executor } = event.data;
  const open = run.calls.get(call);
  const mayBegin = open?.kind === 'tool' && open.attempt === attempt && !open.waitsForRetry && open.execution === undefined;
  // What a pool executes needs nobody who holds the run.
  const isHeld = run.status === 'active' || executor !== undefined;
  if (!mayBegin || !isHeld || executor?.pool !== open.pool) throw impossible(run, event);
  const execution = { executionId, startByMs, overByMs, hasProbe, executor, stage: 'under-way' as const, probe: 1, note: '' };
  const { effectClass = open.effectClass } = event.data;
  return replaced(run, { ...open, effectClass, execution, sinceMs: event.atMs ?? open.sinceMs });
}

function effectNotStarted(run: OpenRun, event: RunEventOf<'EffectNotStarted'>): OpenRun {
  const open = run.calls.get(event.data.call);
  if (open?.kind !== 'tool') throw impossible(run, event);
  // A claim that was refused has dispatched nothing.
  if (open.execution === undefined) return run;
  return replaced(run, { ...inExecution(run, event, ['under-way']), execution: undefined });
}

function effectProgressed(run: OpenRun, event: RunEventOf<'EffectProgressed'>): OpenRun {
  const { call, attempt, detail } = event.data;
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.attempt !== attempt || open.waitsForRetry) throw impossible(run, event);
  return replaced(run, { ...open, heartbeat: { attempt, detail } });
}

function effectUnknown(run: OpenRun, event: RunEventOf<'EffectUnknown'>): OpenRun {
  return moved(run, inExecution(run, event, ['under-way']), { stage: 'unknown' }, event);
}

/** The next attempt is due. */
function effectLost(run: OpenRun, event: RunEventOf<'EffectLost'>): OpenRun {
  const open = inExecution(run, event, ['under-way']);
  const { losses } = event.data;
  return replaced(run, { ...open, execution: undefined, losses, attempt: open.attempt + 1, sinceMs: event.atMs ?? open.sinceMs });
}

function effectProbed(run: OpenRun, event: RunEventOf<'EffectProbed'>): OpenRun {
  const open = inExecution(run, event, ['probe-due']);
  return moved(run, open, { stage: 'unknown', probe: event.data.probe + 1 }, event);
}

export function probeFired(run: OpenRun, event: RunEventOf<'TimerFired'>, call: string): OpenRun {
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.execution?.stage !== 'unknown') throw impossible(run, event);
  return moved(run, { ...open, execution: open.execution }, { stage: 'probe-due' }, event);
}

function effectQuestioned(run: OpenRun, event: RunEventOf<'EffectQuestioned'>): OpenRun {
  if (event.data.because === 'forked') return questionedByFork(run, event);
  const open = inExecution(run, event, ['unknown', 'probe-due']);
  return moved(run, open, { stage: 'in-question', note: event.data.why }, event);
}

/** It was under way elsewhere: this run has dispatched nothing. */
function questionedByFork(run: OpenRun, event: RunEventOf<'EffectQuestioned'>): OpenRun {
  const { call, executionId, startByMs, overByMs, why } = event.data;
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.execution !== undefined) throw impossible(run, event);
  const execution = {
    executionId,
    startByMs,
    overByMs,
    hasProbe: false,
    executor: undefined,
    stage: 'in-question' as const,
    probe: 1,
    note: why,
  };
  return replaced(run, { ...open, execution, sinceMs: event.atMs ?? open.sinceMs });
}

/** Absent: the next attempt is due. Else the end of the call follows. */
function effectReconciled(run: OpenRun, event: RunEventOf<'EffectReconciled'>): OpenRun {
  const open = inExecution(run, event, ['probe-due', 'in-question']);
  if (event.data.verdict !== 'absent') return moved(run, open, { stage: 'answered', note: event.data.by }, event);
  // Nothing happened, and nothing new begins.
  if (run.ending !== undefined && open.undoes === undefined) return closeCall(run, open.call);
  return replaced(run, { ...open, execution: undefined, attempt: open.attempt + 1, sinceMs: event.atMs ?? open.sinceMs });
}

/** `isNews`: the owner has ended it, so the worker that holds the run learns of it by this fact alone. */
interface ToolEnd {
  readonly outcome: Outcome;
  readonly isNews?: boolean;
}

export function closeTool(run: OpenRun, call: string, { outcome, isNews = false }: ToolEnd): OpenRun {
  const open = run.calls.get(call);
  if (open?.kind !== 'tool') throw new InvariantViolated(`The effect ${call} ended without having been intended.`, { call });
  const closed = closeCall(run, call);
  const name = open.tool;
  // The worker that holds the run learns of it by this alone: it did not report it.
  if (open.undoes !== undefined) return closed;
  const listed = outcome.ok ? { ...closed, undo: withEffect(closed, open, outcome.value) } : closed;
  // Its code has nothing more to say: only what it did is of interest.
  if (run.ending !== undefined) return listed;
  const isAnswer =
    isNews ||
    open.pool !== undefined ||
    open.approval?.stage === 'refused' ||
    (open.execution?.stage === 'answered' && open.execution.note !== 'probe');
  const edited = run.request.kind === 'agent' ? editedUseOf(open) : {};
  const arrived = { revision: run.revision, call, outcome, kind: 'tool' as const, name, ...edited };
  const told = isAnswer ? { ...listed, inbound: [...listed.inbound, arrived] } : listed;
  if (run.request.kind === 'agent')
    return withItem(told, { type: 'tool-result', call, toolCallId: open.toolCallId ?? call, tool: name, outcome, ...edited });
  return isAnswer ? told : withItem(listed, { type: 'got', call, kind: 'tool', name, outcome });
}

/** What is confirmed can be undone, or stays; what is pure has changed nothing. */
function withEffect({ undo: ledger, branch }: OpenRun, open: OpenTool, result: unknown): UndoLedger {
  const { tool, args, argsHash, compensation, effectClass } = open;
  const call = nameInRun(branch, open.call);
  if (compensation !== undefined)
    return withEntry(ledger, { call, tool, args, argsHash, effectClass: compensation.effectClass, by: { kind: 'tool', result } });
  return effectClass === 'pure' ? ledger : withStaying(ledger, { call, what: tool });
}

function deadLettered(run: OpenRun, event: RunEventOf<'EffectDeadLettered'>): OpenRun {
  const { call, attempt, because, error } = event.data;
  const open = run.calls.get(call);
  // Nobody knows what an execution under way has done: it cannot lie there.
  const mayLie = open?.kind === 'tool' && open.attempt === attempt && open.deadLetter === undefined;
  if (!mayLie || (open.execution !== undefined && open.execution.stage !== 'under-way')) throw impossible(run, event);
  const dead = { execution: undefined, waitsForRetry: false, lastError: error, deadLetter: { because } };
  return replaced(run, { ...open, ...dead, sinceMs: event.atMs ?? open.sinceMs });
}

function redriven(run: OpenRun, event: RunEventOf<'EffectRedriven'>): OpenRun {
  const { call, attempt } = event.data;
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.deadLetter === undefined || attempt !== open.attempt + 1) throw impossible(run, event);
  const sinceMs = event.atMs ?? open.sinceMs;
  return replaced(run, { ...open, attempt, deadLetter: undefined, series: { attemptsBefore: open.attempt, sinceMs }, sinceMs });
}

/** The end of the call follows. */
function givenUp(run: OpenRun, event: RunEventOf<'EffectGivenUp'>): OpenRun {
  const open = run.calls.get(event.data.call);
  if (open?.kind !== 'tool' || open.deadLetter === undefined) throw impossible(run, event);
  return run;
}

type OfExecution = RunEventOf<
  'EffectLost' | 'EffectNotStarted' | 'EffectUnknown' | 'EffectProbed' | 'EffectQuestioned' | 'EffectReconciled'
>;
type InExecution = OpenTool & { readonly execution: EffectExecution };

function inExecution(run: OpenRun, event: OfExecution, stages: readonly EffectExecution['stage'][]): InExecution {
  const { call, attempt, executionId } = event.data;
  const open = run.calls.get(call);
  if (open?.kind !== 'tool' || open.attempt !== attempt) throw impossible(run, event);
  const { execution } = open;
  if (execution?.executionId !== executionId || !stages.includes(execution.stage)) throw impossible(run, event);
  return { ...open, execution };
}

function moved(run: OpenRun, open: InExecution, ...[to, event]: [Partial<EffectExecution>, { readonly atMs?: number }]): OpenRun {
  return replaced(run, { ...open, execution: { ...open.execution, ...to }, sinceMs: event.atMs ?? open.sinceMs });
}

function replaced(run: OpenRun, open: OpenTool): OpenRun {
  return { ...run, calls: with_(run.calls, open.call, open) };
}
