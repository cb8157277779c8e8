import { appendFileSync, existsSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { remoteTool, tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

const book = process.env.PERDURE_E2E_BOOK ?? '/dev/null';
const LOOK_EVERY_MS = 20;
const parcel = z.object({ runId: z.string(), until: z.string(), says: z.boolean().optional() });

/** Returns when the file is there. */
export const ship = tool({
  name: 'ship',
  description: 'Ships a parcel.',
  pool: 'stores',
  input: parcel,
  effect: 'idempotent',
  execute: async ({ runId, until, says }, { idempotencyKey, signal, heartbeat, lastHeartbeat }) => {
    const line = { runId, what: idempotencyKey, pid: process.pid, atMs: Date.now() };
    appendFileSync(book, `${JSON.stringify(line)}\n`);
    if (says === true) heartbeat({ by: process.pid });
    while (!existsSync(until) && !signal.aborted) await pause(LOOK_EVERY_MS);
    return { shipped: !signal.aborted, ...(says === true ? { before: lastHeartbeat } : {}) };
  },
});

const document = z.object({ number: z.number(), chars: z.number(), until: z.string() });

/** A large result, when the file is there. */
export const scan = tool({
  name: 'scan',
  description: 'Scans a document.',
  pool: 'stores',
  input: document,
  effect: 'idempotent',
  execute: async ({ chars, until }, { signal }) => {
    while (!existsSync(until) && !signal.aborted) await pause(LOOK_EVERY_MS);
    return 'x'.repeat(chars);
  },
});

/** As another code base would know it. */
const named = remoteTool({ name: 'ship', pool: 'stores', description: 'Ships a parcel.', input: parcel });

export const purchase = workflow({ name: 'purchase', input: parcel.omit({ runId: true }), tools: [named] }, (ctx, order) =>
  ctx.tool(named, { runId: ctx.runId, ...order }),
);

const namedScan = remoteTool({ name: 'scan', pool: 'stores', description: 'Scans a document.', input: document });

export const archive = workflow(
  { name: 'archive', input: z.object({ documents: z.number(), chars: z.number(), until: z.string() }), tools: [namedScan] },
  async (ctx, { documents, chars, until }) => {
    const numbers = Array.from({ length: documents }, (_, number) => number);
    const texts = await Promise.all(numbers.map((number) => ctx.tool(namedScan, { number, chars, until })));
    return texts.map(String).join('').length;
  },
);
