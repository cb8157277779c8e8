import type { OpenPromise, RunView } from '@perdure/run-contract';
import { isOpen, type EndedRun, type OpenCall, type OpenRun } from './run.state';

/** What anyone may ask of a run: where it stands, and the named promises that it waits on. */
export function viewOf(address: { readonly tenant: string; readonly runId: string }, run: OpenRun | EndedRun): RunView {
  const { kind, name, requestedAtMs } = run.request;
  const common = { ...address, kind, name, requestedAtMs, revision: run.revision, epoch: run.epoch };
  if (!isOpen(run)) {
    const { outcome, endedAtMs, cancelRequested } = run;
    return { ...common, status: 'ended', sinceMs: endedAtMs, endedAtMs, cancelRequested, waitingOn: [], outcome };
  }
  return {
    ...common,
    status: run.status === 'placing' ? 'active' : run.status,
    sinceMs: run.sinceMs,
    ...(run.status === 'active' ? { workerId: run.activation.workerId } : {}),
    ...(run.status === 'paused' ? { pausedBecause: run.because } : {}),
    cancelRequested: run.cancel !== undefined,
    ...(run.pause === undefined ? {} : { pauseRequested: true }),
    waitingOn: [...standing(run), ...[...run.calls.values()].map((call) => ofCall(run, call))],
  };
}

function standing(run: OpenRun): readonly OpenPromise[] {
  const { sinceMs } = run;
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
          closedBy: 'somebody resumes the run when the cause is gone, or cancels it',
        },
      ];
    case 'suspended':
      return [];
  }
}

function ofCall(run: OpenRun, call: OpenCall): OpenPromise {
  const { sinceMs } = call;
  if (call.kind === 'sleep' || call.waitsForRetry) return ofTimer(run, call);
  const reporter = run.status === 'active' ? `worker ${run.activation.workerId}` : 'the next worker that holds the run';
  const closedBy = `${reporter} reports how attempt ${call.attempt} ended`;
  return call.kind === 'model'
    ? { promise: 'model-call', keeper: 'orchestrator', id: call.call, sinceMs, detail: call.model, closedBy }
    : { promise: 'effect', keeper: 'orchestrator', id: call.call, sinceMs, detail: call.tool, closedBy };
}

function ofTimer(run: OpenRun, call: OpenCall): OpenPromise {
  const timer = [...run.timers.values()].find((candidate) => candidate.call === call.call);
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
