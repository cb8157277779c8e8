import { Client } from '@perdure/sdk';
import { percentile, rounded } from '../rig/figures';
import { withFreshStack } from '../rig/fresh-stack';
import { meter } from './cost';
import type { BenchOptions } from './main';
import type { Figures } from './show';
import { WAITS_ENTRY } from './w4';

const CHILDREN = 100;
/** As many children in all, whatever the width. */
const CHILDREN_IN_ALL = 5_000;
const WARM_UP = 3;
const SLOTS = 400;

/** W6: a run starts so many (`--steps`) and awaits them all, one such run at a time. */
export async function fanOutLoad(options: BenchOptions): Promise<Figures> {
  const { form, steps: children = CHILDREN } = options;
  const runs = options.runs ?? Math.max(3, Math.ceil(CHILDREN_IN_ALL / children));
  return withFreshStack(
    () => ({ form, entry: WAITS_ENTRY, workers: 1, slots: SLOTS }),
    async ({ stack }) => {
      const client = await Client.connect({ url: stack.clientUrl });
      const tookMs: number[] = [];
      let wrong = 0;
      const one = async (): Promise<void> => {
        const startedAtMs = performance.now();
        const sum = await (await client.start('fan', { children })).result();
        tookMs.push(performance.now() - startedAtMs);
        if (sum !== (children * (children - 1)) / 2) wrong += 1;
      };
      for (let n = 0; n < WARM_UP; n += 1) await one();
      tookMs.length = 0;
      const cost = meter(stack);
      for (let n = 0; n < runs; n += 1) await one();
      const { cpuSeconds, cpuByProcess, rssMb } = cost();
      await client.close();
      return {
        load: 'w6',
        form,
        runs,
        children,
        p50Ms: rounded(percentile(tookMs, 0.5)),
        p99Ms: rounded(percentile(tookMs, 0.99)),
        cpuSecPer1kChildren: rounded(cpuSeconds / ((runs * children) / 1_000), 3),
        cpuByProcess,
        rssMb,
        executedTwice: 0,
        lost: wrong,
      };
    },
  );
}
