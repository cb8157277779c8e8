import type { RunEvent } from '@perdure/run-contract';
import { afterToolResult } from './agent/agent-loop';
import type { KnownCode } from './run.commands';
import { evolve } from './run.evolve';
import { hasWork, isOpen, woken, type OpenRun, type RunState } from './run.state';

/** Facts that end a call, and what follows them in an agent's loop. */
export function closing(run: OpenRun, code: KnownCode, events: readonly RunEvent[]): readonly RunEvent[] {
  if (run.request.kind !== 'agent' || run.ending !== undefined) return events;
  const after = events.reduce<RunState>(evolve, run);
  return isOpen(after) ? [...events, ...afterToolResult(after, code)] : events;
}

/** Facts that reach a run by another way than its worker: one that nobody holds asks for a worker, if there is something to do. */
export function rousing(run: OpenRun, events: readonly RunEvent[]): readonly RunEvent[] {
  const after = events.reduce<RunState>(evolve, run);
  return isOpen(after) && after.status === 'suspended' && hasWork(after) ? [...events, woken(after)] : events;
}

/** What follows the end of a call of an agent is decided with its code alone. */
export function isUnknownAgent(run: OpenRun, code: KnownCode): boolean {
  return run.request.kind === 'agent' && code.behaviour === undefined;
}
