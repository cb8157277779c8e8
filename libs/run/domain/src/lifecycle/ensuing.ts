import type { RunEvent } from '@perdure/run-contract';
import { pooledUnderWay } from '../effect/pooled';
import { evolve } from '../run.evolve';
import { hasWork, isOpen, woken, type OpenCall, type OpenRun, type RunState } from '../run.state';

/** What others do for a run that is to be cancelled: its end waits for that, for a while. */
export function isWaitedFor(run: OpenRun): boolean {
  return pooledUnderWay(run).length > 0 || [...run.calls.values()].some(isCancelledWithIt);
}

function isCancelledWithIt(call: OpenCall): boolean {
  return call.kind === 'child' && call.parentClose === 'cancel';
}

/** A run that nobody holds goes on if there is something to do, and ends if it is cancelled and nothing is waited for any more. */
export function ensuing(run: OpenRun, events: readonly RunEvent[], nowMs: number): readonly RunEvent[] {
  const after = events.reduce<RunState>(evolve, run);
  if (!isOpen(after) || after.status === 'active') return events;
  if (after.cancel !== undefined) return isWaitedFor(after) ? events : [...events, cancelled(after.cancel.reason, nowMs)];
  return after.status === 'suspended' && hasWork(after) ? [...events, woken(after)] : events;
}

export function cancelled(reason: string, nowMs: number): RunEvent {
  return { type: 'RunCancelled', data: { reason, endedAtMs: nowMs } };
}
