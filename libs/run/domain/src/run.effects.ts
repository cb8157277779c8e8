import type { GrantedExecution, Instruction, ProgressAnswer, RunCommandOf } from '@perdure/run-contract';
import type { ToolApproval } from './approval/approval.state';
import { CANCEL_GRACE_MS, EFFECT_START_WITHIN_MS, PAUSE_GRACE_MS } from './bounds';
import { needsClaim } from './approval/decide-approval';
import { isOpen, isRunnable, type OpenRun, type OpenTool, type RunState } from './run.state';
import { entryOf } from './undo/undoing';

/** What the owner of a run has to bring about, from state alone: after a crash, fold and ask again. */
export type RunEffect =
  /** Find a live worker for a run that holds a permit. */
  | { readonly type: 'FindWorker' }
  /** The worker has to claim the epoch, and then to be told whatever it has not been told. */
  | { readonly type: 'KeepActivation'; readonly epoch: number; readonly workerId: string; readonly sessionId: string }
  | { readonly type: 'EnforceCancel' | 'EnforcePause'; readonly epoch: number; readonly atMs: number };

export function pendingEffects(state: RunState): readonly RunEffect[] {
  if (state.status === 'placing') return [{ type: 'FindWorker' }];
  // Cancelled, and only what workers of other pools are executing is waited for.
  if (state.status !== 'active' && isOpen(state) && state.cancel !== undefined)
    return [{ type: 'EnforceCancel', epoch: state.epoch, atMs: state.cancel.requestedAtMs + CANCEL_GRACE_MS }];
  if (state.status !== 'active') return [];
  const { workerId, sessionId } = state.activation;
  const keep: RunEffect = { type: 'KeepActivation', epoch: state.epoch, workerId, sessionId };
  const { epoch, cancel, pause } = state;
  if (cancel !== undefined) return [keep, { type: 'EnforceCancel', epoch, atMs: cancel.requestedAtMs + CANCEL_GRACE_MS }];
  if (pause !== undefined) return [keep, { type: 'EnforcePause', epoch, atMs: pause.requestedAtMs + PAUSE_GRACE_MS }];
  return [keep];
}

type RunTool = Extract<Instruction, { do: 'run-tool' }>;

/** What the worker that holds the run shall do now. */
export function instructionsOf(state: RunState): readonly Instruction[] {
  if (!isOpen(state) || state.cancel !== undefined || state.pause !== undefined || state.calls.size === 0) return NONE;
  const instructions: Instruction[] = [];
  for (const call of state.calls.values()) {
    if (!isRunnable(call)) continue;
    if (call.kind === 'model') {
      const shown = call.signals.length === 0 ? {} : { signals: [...call.signals] };
      const told = call.tell === undefined ? {} : { tell: call.tell };
      const model = state.request.model === undefined ? {} : { model: call.model };
      instructions.push({ do: 'call-model', call: call.call, attempt: call.attempt, ...model, ...shown, ...told });
    } else instructions.push(toolInstruction(state, call));
  }
  return instructions;
}

function toolInstruction(run: OpenRun, open: OpenTool): Instruction {
  const { call, tool, args, attempt, toolCallId, execution, approval, heartbeat } = open;
  const editedBy = open.editedBy === undefined ? {} : { editedBy: [...open.editedBy] };
  const of = { ...editedBy, ...(open.undoes === undefined ? {} : { undoes: open.undoes }) };
  if (execution !== undefined)
    return { do: 'probe-tool', call, tool, args, attempt, executionId: execution.executionId, probe: execution.probe, ...of };
  const mustClaim = needsClaim(open) ? { mustClaim: true } : {};
  const last = heartbeat === undefined ? {} : { lastHeartbeat: heartbeat.detail };
  const entry = entryOf(run, open);
  if (entry?.by.kind === 'tool')
    return { do: 'undo-tool', call, tool, args, result: entry.by.result, undoes: entry.call, attempt, ...mustClaim, ...last };
  return {
    do: 'run-tool',
    call,
    tool,
    args,
    attempt,
    ...(toolCallId === undefined ? {} : { toolCallId }),
    ...mustClaim,
    ...last,
    ...of,
    ...(approval?.grantId === undefined ? {} : granted(approval, approval.grantId)),
  };
}

function granted({ votes }: ToolApproval, grantId: string): Pick<RunTool, 'grant'> {
  return { grant: { grantId, votes: [...votes] } };
}

/** What a report leads to. A number that changed nothing is not used up: the next report has it. */
export function progressAnswerOf(command: RunCommandOf<'RecordProgress'>, state: RunState): ProgressAnswer {
  const open = state.status === 'active' && state.epoch === command.epoch ? state : undefined;
  const granted = grantedBy(command, state);
  return {
    seq: open?.lastSeq ?? command.seq,
    revision: Math.max(0, state.revision),
    instructions: open === undefined ? [] : [...instructionsOf(open)],
    inbound: open === undefined ? [] : [...open.inbound],
    cancelRequested: open?.cancel !== undefined,
    ...(open?.pause === undefined ? {} : { pauseRequested: true }),
    ended: open === undefined,
    ...(granted.length === 0 ? {} : { mayBegin: [...granted] }),
  };
}

/** Of the executions that a report claims: those that are dispatched, and so may begin. */
export function grantedBy({ epoch, entries }: RunCommandOf<'RecordProgress'>, state: RunState): readonly GrantedExecution[] {
  if (state.status !== 'active' || state.epoch !== epoch) return [];
  return entries.flatMap((entry) => {
    if (entry.type !== 'effect-claimed') return [];
    const { call, attempt, executionId } = entry;
    const open = state.calls.get(call);
    const execution = open?.kind === 'tool' && open.attempt === attempt ? open.execution : undefined;
    if (execution?.stage !== 'under-way' || execution.executionId !== executionId) return [];
    return [{ call, attempt, executionId, startWithinMs: EFFECT_START_WITHIN_MS }];
  });
}

const NONE: readonly Instruction[] = [];
