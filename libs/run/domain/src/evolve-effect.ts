import { InvariantViolated, unreachable } from '@perdure/kernel';
import type { Outcome, RunEvent, RunEventOf, RunEventType } from '@perdure/run-contract';
import { rememberCommand } from './command-memory';
import { closeCall, impossible, openCall, withItem, with_ } from './evolve-calls';
import type { EffectExecution, OpenRun, OpenTool } from './run.state';

/** What the facts of one effect change; that it failed is told with the failures of models. */
const TYPES = [
  'EffectIntended',
  'EffectDispatched',
  'EffectNotStarted',
  'EffectUnknown',
  'EffectProbed',
  'EffectQuestioned',
  'EffectReconciled',
  'EffectConfirmed',
  'EffectLost',
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
    case 'EffectUnknown':
      return effectUnknown(run, event);
    case 'EffectProbed':
      return effectProbed(run, event);
    case 'EffectQuestioned':
      return effectQuestioned(run, event);
    case 'EffectReconciled':
      return effectReconciled(remembering(run, event.data.commandId), event);
    case 'EffectConfirmed':
      return closeTool(run, event.data.call, { ok: true, value: event.data.result });
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
  const { call, tool, effectClass, pool, args, argsHash, toolCallId, intendedAtMs } = event.data;
  const next = openCall(run, {
    kind: 'tool',
    call,
    tool,
    effectClass,
    pool,
    args,
    argsHash,
    toolCallId,
    sinceMs: intendedAtMs,
    attempt: 1,
    waitsForRetry: false,
    losses: 0,
    execution: undefined,
  });
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
  const open = inExecution(run, event, ['unknown', 'probe-due']);
  return moved(run, open, { stage: 'in-question', note: event.data.why }, event);
}

/** Absent: the next attempt is due. Else the end of the call follows. */
function effectReconciled(run: OpenRun, event: RunEventOf<'EffectReconciled'>): OpenRun {
  const open = inExecution(run, event, ['probe-due', 'in-question']);
  if (event.data.verdict !== 'absent') return moved(run, open, { stage: 'answered', note: event.data.by }, event);
  return replaced(run, { ...open, execution: undefined, attempt: open.attempt + 1, sinceMs: event.atMs ?? open.sinceMs });
}

export function closeTool(run: OpenRun, call: string, outcome: Outcome): OpenRun {
  const open = run.calls.get(call);
  if (open?.kind !== 'tool') throw new InvariantViolated(`The effect ${call} ended without having been intended.`, { call });
  const closed = closeCall(run, call);
  const name = open.tool;
  // The worker that holds the run learns of it by this alone: it did not report it.
  const isAnswer =
    open.pool !== undefined ||
    open.approval?.stage === 'refused' ||
    (open.execution?.stage === 'answered' && open.execution.note !== 'probe');
  const arrived = { revision: run.revision, call, outcome, kind: 'tool' as const, name };
  const told = isAnswer ? { ...closed, inbound: [...closed.inbound, arrived] } : closed;
  if (run.request.kind === 'agent')
    return withItem(told, { type: 'tool-result', call, toolCallId: open.toolCallId ?? call, tool: name, outcome });
  return isAnswer ? told : withItem(closed, { type: 'got', call, kind: 'tool', name, outcome });
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
