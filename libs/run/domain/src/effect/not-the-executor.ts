import type { RunRejection } from '@perdure/run-contract';
import type { PooledTool } from './pooled';
import { refusal } from '../rejection';

/** Whoever tries to act for an effect of another pool, or for an execution of another worker. */
export function notTheExecutor({ call, tool, pool }: PooledTool, workerId: string): { readonly rejected: RunRejection } {
  const message = `${workerId} may not act for the effect ${call}: only a live worker of the pool ${pool} that hosts ${tool} may, and for an execution only who claimed it.`;
  return refusal('NotTheExecutor', message, { details: { call, pool, tool } });
}
