import type { OpenPromise, RunView } from '@perdure/run-contract';
import { isOpen, type EndedRun, type OpenCall, type OpenRun } from './run.state';

/** What anyone may ask of a run: where it stands, and the named promises that it waits on. */
export function viewOf(address: { readonly tenant: string; readonly runId: string }, run: OpenRun | EndedRun): RunView {
  const { kind, name, requestedAtMs } = run.request;
  const common = { ...address, kind, name, requestedAtMs, revision: run.revision, epoch: run.epoch };
  if (!isOpen(run)) {
    const { outcome, endedAtMs, cancelRequested } = run;
    return { ...common, status: 'ended', endedAtMs, cancelRequested, waitingOn: [], outcome };
  }
  return {
    ...common,
    status: run.status === 'placing' ? 'active' : run.status,
    ...(run.status === 'active' ? { workerId: run.activation.workerId } : {}),
    ...(run.status === 'paused' ? { pausedBecause: run.because } : {}),
    cancelRequested: run.cancel !== undefined,
    waitingOn: [...standing(run), ...[...run.calls.values()].flatMap((call) => ofCall(run, call))],
  };
}

function standing(run: OpenRun): readonly OpenPromise[] {
  switch (run.status) {
    case 'queued':
      return [
        {
          promise: 'release',
          keeper: 'admission',
          id: run.request.pool,
          sinceMs: run.sinceMs || run.request.requestedAtMs,
          detail: `a free slot in pool ${run.request.pool}`,
        },
      ];
    case 'placing':
      return [
        {
          promise: 'activation',
          keeper: 'orchestrator',
          id: `epoch-${run.epoch + 1}`,
          sinceMs: run.request.requestedAtMs,
          detail: 'another worker, after an activation was lost',
        },
      ];
    case 'active':
      return [
        {
          promise: 'progress',
          keeper: 'orchestrator',
          id: `epoch-${run.epoch}`,
          sinceMs: run.activation.assignedAtMs,
          detail: `worker ${run.activation.workerId}`,
        },
      ];
    case 'paused':
      return [{ promise: 'resume', keeper: 'person', id: 'pause', sinceMs: run.request.requestedAtMs, detail: run.because }];
    case 'suspended':
      return [];
  }
}

function ofCall(run: OpenRun, call: OpenCall): readonly OpenPromise[] {
  if (call.kind === 'sleep') {
    const timer = run.timers.get(call.call);
    return timer === undefined
      ? []
      : [{ promise: 'timer', keeper: 'timers', id: timer.timerId, sinceMs: timer.dueAtMs, detail: `due at ${timer.dueAtMs}` }];
  }
  if (call.waitsForRetry) {
    const timer = [...run.timers.values()].find((candidate) => candidate.call === call.call);
    return [
      {
        promise: 'timer',
        keeper: 'timers',
        id: timer?.timerId ?? call.call,
        sinceMs: timer?.dueAtMs ?? 0,
        detail: `attempt ${call.attempt + 1} of ${call.call}`,
      },
    ];
  }
  if (call.kind === 'model')
    return [{ promise: 'model-call', keeper: 'orchestrator', id: call.call, sinceMs: 0, detail: call.model }];
  return [{ promise: 'effect', keeper: 'orchestrator', id: call.call, sinceMs: call.sinceMs, detail: call.tool }];
}
