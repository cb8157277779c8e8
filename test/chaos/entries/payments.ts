import { tool, workflow } from '@perdure/sdk';
import { z } from 'zod';

const BANK = process.env.PERDURE_CHAOS_BANK ?? '';
/** Short, since a probe waits for it. */
const TIMEOUT_MS = 1_500;
/** Whose workers hold what it takes to reach the bank. */
const POOL = 'payments';
const headers = { 'x-payer': process.env.PERDURE_WORKER_ID ?? '' };
const payment = z.object({ payment: z.string() });

/** Without an idempotency key: the bank knows none. */
async function transfer(to: string, execution: string, signal: AbortSignal): Promise<string> {
  const response = await fetch(`${BANK}/${encodeURIComponent(execution)}`, { method: 'POST', body: to, headers, signal });
  return ((await response.json()) as { payment: string }).payment;
}

/** What became of it can be asked. */
export const pay = tool({
  name: 'pay',
  pool: POOL,
  description: 'Pays by a bank that can be asked.',
  input: payment,
  effect: 'probeable',
  timeoutMs: TIMEOUT_MS,
  execute: (input, { executionId, signal }) => transfer(input.payment, executionId, signal),
  probe: async (input, { executionId }) => {
    const response = await fetch(`${BANK}/${encodeURIComponent(executionId)}`);
    const { found } = (await response.json()) as { found: boolean };
    return found ? { happened: true, result: input.payment } : { happened: false };
  },
});

/** What became of it only a person can find out. */
export const wire = tool({
  name: 'wire',
  pool: POOL,
  description: 'Pays by a bank that cannot be asked.',
  input: payment,
  effect: 'irreversible',
  timeoutMs: TIMEOUT_MS,
  execute: (input, { executionId, signal }) => transfer(input.payment, executionId, signal),
});

export const paying = workflow({ name: 'paying', input: payment, tools: [pay] }, (ctx, input) => ctx.tool(pay, input));
export const wiring = workflow({ name: 'wiring', input: payment, tools: [wire] }, (ctx, input) => ctx.tool(wire, input));
