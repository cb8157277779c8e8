import type { Instruction } from '@perdure/run-contract';
import { CANCEL_GRACE_MS, PAUSE_GRACE_MS } from './bounds';
import { isRunnable } from './decide-progress';
import { isOpen, type RunState } from './run.state';

/** What the owner of a run has to bring about, from state alone: after a crash, fold and ask again. */
export type RunEffect =
  /** Find a live worker for a run that holds a permit. */
  | { readonly type: 'FindWorker' }
  /** The worker has to claim the epoch, and then to be told whatever it has not been told. */
  | { readonly type: 'KeepActivation'; readonly epoch: number; readonly workerId: string; readonly sessionId: string }
  | { readonly type: 'EnforceCancel' | 'EnforcePause'; readonly epoch: number; readonly atMs: number };

export function pendingEffects(state: RunState): readonly RunEffect[] {
  if (state.status === 'placing') return [{ type: 'FindWorker' }];
  if (state.status !== 'active') return [];
  const { workerId, sessionId } = state.activation;
  const keep: RunEffect = { type: 'KeepActivation', epoch: state.epoch, workerId, sessionId };
  const { epoch, cancel, pause } = state;
  if (cancel !== undefined) return [keep, { type: 'EnforceCancel', epoch, atMs: cancel.requestedAtMs + CANCEL_GRACE_MS }];
  if (pause !== undefined) return [keep, { type: 'EnforcePause', epoch, atMs: pause.requestedAtMs + PAUSE_GRACE_MS }];
  return [keep];
}

/** What the worker that holds the run shall do now. */
export function instructionsOf(state: RunState): readonly Instruction[] {
  if (!isOpen(state) || state.cancel !== undefined || state.pause !== undefined || state.calls.size === 0) return NONE;
  const instructions: Instruction[] = [];
  for (const call of state.calls.values()) {
    if (!isRunnable(call) || call.kind === 'sleep') continue;
    if (call.kind === 'model') {
      instructions.push({ do: 'call-model', call: call.call, attempt: call.attempt });
    } else {
      const { tool, args, attempt, toolCallId } = call;
      instructions.push({
        do: 'run-tool',
        call: call.call,
        tool,
        args,
        attempt,
        ...(toolCallId === undefined ? {} : { toolCallId }),
      });
    }
  }
  return instructions;
}

const NONE: readonly Instruction[] = [];
