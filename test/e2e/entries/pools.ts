import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { remoteTool, tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

const book = process.env.PERDURE_E2E_BOOK ?? '/dev/null';
const LOOK_EVERY_MS = 20;
const parcel = z.object({ runId: z.string(), until: z.string() });

/** Returns when the file is there. */
export const ship = tool({
  name: 'ship',
  description: 'Ships a parcel.',
  pool: 'stores',
  input: parcel,
  effect: 'idempotent',
  execute: async ({ runId, until }, { idempotencyKey, signal }) => {
    const line = { runId, what: idempotencyKey, pid: process.pid, atMs: Date.now() };
    appendFileSync(book, `${JSON.stringify(line)}\n`);
    while (!existsSync(until) && !signal.aborted) await pause(LOOK_EVERY_MS);
    return { shipped: !signal.aborted };
  },
});

/** As another code base would know it. */
const named = remoteTool({ name: 'ship', pool: 'stores', description: 'Ships a parcel.', input: parcel });

export const purchase = workflow({ name: 'purchase', input: z.object({ until: z.string() }), tools: [named] }, (ctx, { until }) =>
  ctx.tool(named, { runId: ctx.runId, until }),
);
