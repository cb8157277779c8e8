import type { Executor, RunEvent } from '@perdure/run-contract';
import { isOpen, type EffectExecution, type OpenRun, type OpenTool, type RunState } from '../run.state';

/** Effects of tools that have a pool of their own: what the owner of the run has to bring about for them, whoever holds it. */

export type PooledTool = OpenTool & { readonly pool: string };
export type PooledExecution = PooledTool & { readonly execution: EffectExecution & { readonly executor: Executor } };

/** What is due at a worker of the pool, or under way there. */
export type PooledWork =
  | { readonly do: 'run' | 'probe'; readonly open: PooledTool }
  | { readonly do: 'watch'; readonly open: PooledExecution; readonly isToStop: boolean };

export function isPooled(call: { readonly kind: string; readonly pool?: string | undefined }): call is PooledTool {
  return call.kind === 'tool' && call.pool !== undefined;
}

export function isUnderWay(open: PooledTool): open is PooledExecution {
  return open.execution?.stage === 'under-way' && open.execution.executor !== undefined;
}

export function pooledTools(run: OpenRun): readonly PooledTool[] {
  return [...run.calls.values()].filter(isPooled);
}

export function pooledUnderWay(run: OpenRun): readonly PooledExecution[] {
  return pooledTools(run).filter(isUnderWay);
}

/** From state alone: after a crash, fold and ask again. */
export function pooledWork(state: RunState): readonly PooledWork[] {
  if (!isOpen(state)) return NOTHING;
  const mayBegin = whyWithheld(state) === undefined;
  return pooledTools(state).flatMap((open): readonly PooledWork[] => {
    if (isUnderWay(open)) return [{ do: 'watch', open, isToStop: state.cancel !== undefined }];
    if (!mayBegin || open.waitsForRetry || isWithheld(open) || open.deadLetter !== undefined) return NOTHING;
    if (open.execution === undefined) return [{ do: 'run', open }];
    return open.execution.stage === 'probe-due' ? [{ do: 'probe', open }] : NOTHING;
  });
}

/** It needs an approval, and has none. */
function isWithheld({ approval }: PooledTool): boolean {
  return approval !== undefined && approval.stage !== 'granted';
}

/** Nothing new begins then; what is under way comes to its end. */
export function whyWithheld(run: OpenRun): string | undefined {
  if (run.cancel !== undefined) return 'the run is being cancelled';
  if (run.ending !== undefined) return 'the run is about to end';
  if (run.pause !== undefined) return 'the run is to pause';
  return run.status === 'paused' ? 'the run is paused' : undefined;
}

const NOTHING: readonly never[] = [];

const LETTING_GO = ['RunSuspended', 'RunPaused', 'RunQuarantined', 'CodeDiverged'] as const;

/** Facts by which nobody holds the run any more say whether its owner still has effects to look after. */
export function notingPooled(run: OpenRun, event: RunEvent): RunEvent {
  if (!(LETTING_GO as readonly string[]).includes(event.type)) return event;
  const pooledEffects = pooledTools(run).length;
  return pooledEffects === 0 ? event : ({ ...event, data: { ...event.data, pooledEffects } } as RunEvent);
}
