import type { RunEvent } from '@perdure/run-contract';
import { afterToolResult } from './agent-loop';
import type { KnownCode } from './run.commands';
import { evolve } from './run.evolve';
import { isOpen, type OpenRun, type RunState } from './run.state';

/** Facts that end a call, and what follows them in an agent's loop. */
export function closing(run: OpenRun, code: KnownCode, events: readonly RunEvent[]): readonly RunEvent[] {
  if (run.request.kind !== 'agent') return events;
  const after = events.reduce<RunState>(evolve, run);
  return isOpen(after) ? [...events, ...afterToolResult(after, code)] : events;
}
