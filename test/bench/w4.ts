import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT } from '@perdure/cli';
import { Client, type RunHandle } from '@perdure/sdk';
import { closedLoop } from '../rig/closed-loop';
import { percentile, rounded } from '../rig/figures';
import { withFreshStack } from '../rig/fresh-stack';
import { meter } from './cost';
import type { BenchOptions } from './main';
import type { Figures } from './show';

export const WAITS_ENTRY = join(ROOT, 'dist/test/bench/entries/waits.js');

const RUNS = 1_000;
const WARM_UP = 200;
const LOOK_EVERY_MS = 20;
const SLOTS = 200;

/** W4: from the signal to the result in the hands of who sent it, for runs that have been let go of. */
export async function signalsLoad(options: BenchOptions): Promise<Figures> {
  const { form, concurrency = 1, runs = RUNS } = options;
  return withFreshStack(
    () => ({ form, entry: WAITS_ENTRY, workers: 1, slots: Math.max(SLOTS, concurrency) }),
    async ({ stack }) => {
      const client = await Client.connect({ url: stack.clientUrl });
      const tookMs: number[] = [];
      let wrong = 0;
      const waiting = async (count: number): Promise<readonly RunHandle<unknown>[]> => {
        const started = await Promise.all(Array.from({ length: count }, (_, n) => client.start('waiter', { n })));
        for (const run of started) while ((await run.view()).status !== 'suspended') await pause(LOOK_EVERY_MS);
        return started;
      };
      const signal = async (run: RunHandle<unknown>, n: number): Promise<void> => {
        const startedAtMs = performance.now();
        await run.signal('go', { n });
        const output = (await run.result()) as { readonly n: number };
        tookMs.push(performance.now() - startedAtMs);
        if (output.n !== n) wrong += 1;
      };
      for (const [n, run] of (await waiting(WARM_UP)).entries()) await signal(run, n);
      tookMs.length = 0;
      const asleep = await waiting(runs);
      const cost = meter(stack);
      await closedLoop({ count: runs, concurrency }, (n) => signal(asleep[n] as RunHandle<unknown>, n));
      const { cpuSeconds, cpuByProcess, rssMb } = cost();
      await client.close();
      return {
        load: 'w4',
        form,
        runs,
        concurrency,
        p50Ms: rounded(percentile(tookMs, 0.5)),
        p99Ms: rounded(percentile(tookMs, 0.99)),
        cpuSecPer1kRuns: rounded(cpuSeconds / (runs / 1_000), 3),
        cpuByProcess,
        rssMb,
        executedTwice: 0,
        lost: wrong,
      };
    },
  );
}
