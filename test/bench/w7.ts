import { setTimeout as pause } from 'node:timers/promises';
import type { Stack } from '@perdure/cli';
import { Client, type RunHandle } from '@perdure/sdk';
import { closedLoop } from '../rig/closed-loop';
import { percentile, rounded, sum } from '../rig/figures';
import { withFreshStack } from '../rig/fresh-stack';
import type { BenchOptions } from './main';
import type { Figures } from './show';
import { WAITS_ENTRY } from './w4';

const RUNS = 100_000;
/** Runs among them that are woken, one at a time. */
const WOKEN = 200;
const STARTS_AT_ONCE = 64;
const SLOTS = 400;
const YEAR_MS = 365 * 24 * 3_600_000;
const LOOK_EVERY_MS = 500;
/** A heap that has not grown for so long is at rest; the longest wait for that. */
const REST_MS = 10_000;
const REST_MAX_MS = 120_000;
const KIB_PER_MB = 1_024;

type Memory = Readonly<Record<string, number>>;

/**
 * W7: what runs asleep cost each process in anonymous memory, and how long one of them takes to wake. Memory is that of
 * processes which were started after the load and have read back what they keep: what they keep, and not what they have
 * once used.
 */
export async function sleepersLoad(options: BenchOptions): Promise<Figures> {
  const { runs = RUNS } = options;
  return withFreshStack(
    () => ({ form: 'isolated', entry: WAITS_ENTRY, workers: 1, slots: SLOTS }),
    async ({ stack }) => {
      const client = await Client.connect({ url: stack.clientUrl });
      await (await client.start('leaf', { n: 1 })).result();
      const empty = await anonAfterRestart(stack);
      const waiters = await Promise.all(Array.from({ length: WOKEN }, (_, n) => client.start('waiter', { n })));
      const startedAtMs = performance.now();
      await closedLoop(
        { count: runs, concurrency: STARTS_AT_ONCE },
        async () => void (await client.start('sleeper', { ms: YEAR_MS })),
      );
      const startsPerSec = Math.round(runs / ((performance.now() - startedAtMs) / 1_000));
      const asLoaded = anonymous(stack);
      const full = await anonAfterRestart(stack);
      const wokenMs: number[] = [];
      for (const [n, run] of waiters.entries()) wokenMs.push(await wake(run, n));
      await client.close();
      const perRun = Object.fromEntries(
        Object.entries(full).map(([name, mb]) => [name, rounded(((mb - (empty[name] ?? 0)) * KIB_PER_MB) / runs, 3)]),
      );
      return {
        load: 'w7',
        form: 'isolated',
        runs,
        startsPerSec,
        kibPerRun: rounded(sum(Object.values(perRun)), 3),
        kibPerRunByProcess: perRun,
        anonMbEmpty: empty,
        anonMbFull: full,
        anonMbAsLoaded: asLoaded,
        wakeP50Ms: rounded(percentile(wokenMs, 0.5)),
        wakeP99Ms: rounded(percentile(wokenMs, 0.99)),
        executedTwice: 0,
        lost: 0,
      };
    },
  );
}

/** From the signal to the result. */
async function wake(run: RunHandle<unknown>, n: number): Promise<number> {
  const startedAtMs = performance.now();
  await run.signal('go', { n });
  await run.result();
  return performance.now() - startedAtMs;
}

/** In MB, by process, of processes that have been killed, have come back, and have come to rest. */
async function anonAfterRestart(stack: Stack): Promise<Memory> {
  for (const { name } of stack.children()) stack.kill(name);
  await pause(REST_MS);
  const untilMs = performance.now() + REST_MAX_MS;
  let least = anonymous(stack);
  for (let restedAtMs = performance.now() + REST_MS; performance.now() < Math.min(restedAtMs, untilMs);) {
    await pause(LOOK_EVERY_MS);
    const now = anonymous(stack);
    if (sum(Object.values(now)) < sum(Object.values(least)) - 1) restedAtMs = performance.now() + REST_MS;
    least = now;
  }
  return least;
}

function anonymous(stack: Stack): Memory {
  return Object.fromEntries(stack.usage().map(({ name, anonMb }) => [name, Math.round(anonMb)]));
}
