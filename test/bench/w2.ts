import { Client } from '@perdure/sdk';
import { closedLoop } from '../rig/closed-loop';
import { percentile, rounded } from '../rig/figures';
import { withFreshStack } from '../rig/fresh-stack';
import { meter } from './cost';
import type { BenchOptions } from './main';
import type { Figures } from './show';
import { STEPS_ENTRY } from './w1';

/** Long enough that what is measured is the system and not its warming up. */
const RUNS_AT_ONE = 3_000;
const RUNS = 6_000;
const CONCURRENCY = 64;
const WARM_UP_SHARE = 0.2;
/** What a worker offers by default. */
const SLOTS = 200;

/** W2: runs that do nothing, from the start to the result in the hands of the caller. */
export async function startsLoad(options: BenchOptions): Promise<Figures> {
  const { form, concurrency = CONCURRENCY, runs = options.concurrency === 1 ? RUNS_AT_ONE : RUNS } = options;
  return withFreshStack(
    () => ({ form, entry: STEPS_ENTRY, workers: 1, slots: Math.max(SLOTS, concurrency) }),
    async ({ stack }) => {
      const client = await Client.connect({ url: stack.clientUrl });
      const tookMs: number[] = [];
      let wrong = 0;
      const one = async (n: number): Promise<void> => {
        const startedAtMs = performance.now();
        const run = await client.start('nothing', { n });
        const output = (await run.result()) as { readonly n: number };
        tookMs.push(performance.now() - startedAtMs);
        if (output.n !== n) wrong += 1;
      };
      await closedLoop({ count: Math.max(1, Math.ceil(runs * WARM_UP_SHARE)), concurrency }, one);
      tookMs.length = 0;
      const cost = meter(stack);
      const startedAtMs = performance.now();
      await closedLoop({ count: runs, concurrency }, one);
      const seconds = (performance.now() - startedAtMs) / 1_000;
      const { cpuSeconds, cpuByProcess, rssMb } = cost();
      await client.close();
      return {
        load: 'w2',
        form,
        runs,
        concurrency,
        runsPerSec: Math.round(runs / seconds),
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
