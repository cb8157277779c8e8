import { agent, remoteTool, ruleModel, tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

const nothing = z.object({});
const LONG_MS = 60_000;

/** Says how far it has come and then does not end, until another execution goes on from there. */
function copier(name: string, pool?: string) {
  return tool({
    name,
    description: 'Copies a book.',
    input: nothing,
    effect: 'idempotent',
    timeoutMs: LONG_MS,
    ...(pool === undefined ? {} : { pool }),
    execute: (_, { heartbeat, lastHeartbeat, signal }) => {
      if (lastHeartbeat !== undefined) return { from: lastHeartbeat, pid: process.pid };
      heartbeat({ page: 40, pid: process.pid });
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    },
  });
}

const copy = copier('copy');
export const print = copier('print', 'presses');
const named = remoteTool({ name: 'print', pool: 'presses', description: 'Prints a book.', input: nothing });

export const copying = workflow({ name: 'copying', input: nothing, tools: [copy] }, (ctx) => ctx.tool(copy, {}));
export const printing = workflow({ name: 'printing', input: nothing, tools: [named] }, (ctx) => ctx.tool(named, {}));

export const scribe = agent({
  name: 'scribe',
  instructions: 'Copy.',
  input: nothing,
  tools: [copy],
  model: ruleModel('scribe-rules', ({ messages }) => {
    const last = messages.at(-1);
    if (last?.role !== 'tool') return { toolCalls: [{ tool: 'copy', args: {} }] };
    return last.outcome.ok ? JSON.stringify(last.outcome.value) : last.outcome.error.code;
  }),
});
