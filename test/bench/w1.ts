import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '@perdure/cli';
import { Client } from '@perdure/sdk';
import { closedLoop } from '../rig/closed-loop';
import { percentile, rounded } from '../rig/figures';
import { withFreshStack } from '../rig/fresh-stack';
import { meter } from './cost';
import type { BenchOptions } from './main';
import type { Figures } from './show';

export const STEPS_ENTRY = join(ROOT, 'dist/test/bench/entries/steps.js');

const RUNS = 192;
const STEPS = 100;
const CONCURRENCY = 64;
/** Of the load, run first and not counted: code is compiled, connections and files are open. */
const WARM_UP_SHARE = 0.2;

/** W1: many runs of sequential steps that do nothing. */
export async function stepsLoad(options: BenchOptions): Promise<Figures> {
  const { form, pure, runs = RUNS, steps = STEPS, concurrency = CONCURRENCY } = options;
  let book = '';
  const stackOptions = (folder: string) => {
    book = join(folder, 'executions.jsonl');
    const workerEnv = { PERDURE_BENCH_BOOK: book };
    return { form, entry: STEPS_ENTRY, workers: 1, slots: concurrency, workerEnv };
  };
  return withFreshStack(stackOptions, async ({ stack }) => {
    const client = await Client.connect({ url: stack.clientUrl });
    const runIds: string[] = [];
    const tookMs: number[] = [];
    let wrong = 0;
    const one = async (): Promise<void> => {
      const startedAtMs = performance.now();
      const run = await client.start('steps', { steps, pure });
      runIds.push(run.runId);
      const { sum } = (await run.result()) as { readonly sum: number };
      tookMs.push(performance.now() - startedAtMs);
      if (sum !== (steps * (steps - 1)) / 2) wrong += 1;
    };
    await closedLoop({ count: Math.max(1, Math.ceil(runs * WARM_UP_SHARE)), concurrency }, one);
    tookMs.length = 0;
    const cost = meter(stack);
    const startedAtMs = performance.now();
    await closedLoop({ count: runs, concurrency }, one);
    const seconds = (performance.now() - startedAtMs) / 1_000;
    const { cpuSeconds, cpuByProcess, rssMb } = cost();
    await client.close();
    const audit = executionsIn(book, runIds, steps);
    const kiloSteps = (runs * steps) / 1_000;
    return {
      load: 'w1',
      form,
      pure,
      runs,
      steps,
      concurrency,
      stepsPerSec: Math.round((runs * steps) / seconds),
      stepP50Ms: rounded(percentile(tookMs, 0.5) / steps, 3),
      runP50Ms: rounded(percentile(tookMs, 0.5), 1),
      runP99Ms: rounded(percentile(tookMs, 0.99), 1),
      cpuSecPer1kSteps: rounded(cpuSeconds / kiloSteps, 3),
      cpuByProcess,
      rssMb,
      executedTwice: audit.twice,
      lost: audit.missing + wrong,
    };
  });
}

/** Compares the worker's own book with what should be in it: each step of each run once. */
function executionsIn(
  book: string,
  runIds: readonly string[],
  steps: number,
): { readonly twice: number; readonly missing: number } {
  const counts = new Map(runIds.map((runId) => [runId, new Uint32Array(steps)]));
  let twice = 0;
  for (const line of readFileSync(book, 'utf8').split('\n')) {
    if (line === '') continue;
    const { runId, executed } = JSON.parse(line) as { readonly runId: string; readonly executed: readonly number[] };
    const count = counts.get(runId);
    for (const step of executed) {
      const before = count?.[step] ?? 0;
      if (count) count[step] = before + 1;
      if (before > 0) twice += 1;
    }
  }
  const missing = [...counts.values()].reduce((total, count) => total + count.filter((executions) => executions === 0).length, 0);
  return { twice, missing };
}
