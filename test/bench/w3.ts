import { setTimeout as pause } from 'node:timers/promises';
import type { Stack } from '@perdure/cli';
import { Client } from '@perdure/sdk';
import { closedLoop } from '../rig/closed-loop';
import { percentile, rounded, sum } from '../rig/figures';
import { withFreshStack } from '../rig/fresh-stack';
import { meter } from './cost';
import { Heard, listening } from './heard';
import type { BenchOptions } from './main';
import type { Figures } from './show';
import { WAITS_ENTRY } from './w4';

const RUNS = 2_000;
const SECONDS = 5;
const STARTS_AT_ONCE = 64;
const WARM_UP = 200;
const SLOTS = 400;
const LOOK_EVERY_MS = 250;
/** After the last of them is due. */
const PATIENCE_MS = 60_000;

/** W3: runs in a durable sleep, from when they are due until whoever listens on the bus hears of their end. */
export async function sleepsLoad(options: BenchOptions): Promise<Figures> {
  const { form, runs = RUNS, seconds = SECONDS } = options;
  return withFreshStack(
    () => ({ form, entry: WAITS_ENTRY, workers: 1, slots: SLOTS }),
    async ({ stack }) => {
      const client = await Client.connect({ url: stack.clientUrl });
      const connection = await listening(stack);
      const heard = new Heard(connection);
      await sleep({ client, heard, runs: WARM_UP, ms: 100 });
      heard.clear();
      const cost = meter(stack);
      const peak = watchPss(stack);
      await sleep({ client, heard, runs, ms: seconds * 1_000 });
      const { cpuSeconds, cpuByProcess, rssMb } = cost();
      const pssMbPeak = await peak();
      await client.close();
      await connection.close();
      const { firedLateMs, endedLateMs } = heard;
      return {
        load: 'w3',
        form,
        runs,
        sleepSeconds: seconds,
        /** The fact in the log that it fired. */
        firedP50Ms: rounded(percentile(firedLateMs, 0.5)),
        firedP99Ms: rounded(percentile(firedLateMs, 0.99)),
        /** Whoever listens has heard of the end of the run. */
        endedP50Ms: rounded(percentile(endedLateMs, 0.5)),
        endedP99Ms: rounded(percentile(endedLateMs, 0.99)),
        endedMaxMs: rounded(Math.max(0, ...endedLateMs)),
        early: firedLateMs.filter((late) => late < 0).length,
        pssMbPeak,
        cpuSeconds: rounded(cpuSeconds),
        cpuByProcess,
        rssMb,
        executedTwice: 0,
        lost: runs - endedLateMs.length,
      };
    },
  );
}

interface Sleepers {
  readonly client: Client;
  readonly heard: Heard;
  readonly runs: number;
  readonly ms: number;
}

async function sleep({ client, heard, runs, ms }: Sleepers): Promise<void> {
  await closedLoop({ count: runs, concurrency: STARTS_AT_ONCE }, async () => void (await client.start('sleeper', { ms })));
  const untilMs = performance.now() + ms + PATIENCE_MS;
  while (heard.endedLateMs.length < runs && performance.now() < untilMs) await pause(LOOK_EVERY_MS);
}

/** @returns what gives the most that all processes have held together, in MB */
function watchPss(stack: Stack): () => Promise<number> {
  let peak = 0;
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      peak = Math.max(peak, sum(stack.usage().map(({ pssMb }) => pssMb)));
      await pause(LOOK_EVERY_MS);
    }
  })();
  return async () => {
    isOver = true;
    await watching;
    return Math.round(peak);
  };
}
