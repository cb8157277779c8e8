import { setTimeout as pause } from 'node:timers/promises';
import { Client } from '@perdure/sdk';
import { closedLoop } from '../rig/closed-loop';
import { percentile, rounded } from '../rig/figures';
import { withFreshStack } from '../rig/fresh-stack';
import { Heard, listening } from './heard';
import type { BenchOptions } from './main';
import type { Figures } from './show';
import { WAITS_ENTRY } from './w4';

const RUNS = 4_000;
const SLOTS = 400;
const STARTS_AT_ONCE = 64;
/** So many are surely started in a second, also on a busy machine. */
const STARTS_PER_SEC_MIN = 200;
/** From so much lateness on it is an outage. */
const OUTAGE_MS = 35_000;
const PROBES_IDLE = 200;
const PROBE_EVERY_MS = 100;
const PATIENCE_MS = 120_000;
const RELEASED_PER_SEC_MIN = 50;

/**
 * W3 after an outage: runs that were to wake while no service was there. What the release of all of them at once costs those who start
 * something now: from the start of a short run to its result, one at a time, before and meanwhile.
 */
export async function overdueLoad({ form, runs = RUNS }: BenchOptions): Promise<Figures> {
  return withFreshStack(
    () => ({ form, entry: WAITS_ENTRY, workers: 1, slots: SLOTS }),
    async ({ stack }) => {
      const client = await Client.connect({ url: stack.clientUrl });
      const probe = async (): Promise<number> => {
        const startedAtMs = performance.now();
        await (await client.start('leaf', { n: 1 })).result();
        return performance.now() - startedAtMs;
      };
      const idleMs: number[] = [];
      for (let count = 0; count < PROBES_IDLE; count += 1) {
        idleMs.push(await probe());
        await pause(PROBE_EVERY_MS / 4);
      }
      const sleepMs = (runs / STARTS_PER_SEC_MIN) * 1_000 + 5_000;
      const asleepFromMs = Date.now();
      await closedLoop(
        { count: runs, concurrency: STARTS_AT_ONCE },
        async () => void (await client.start('sleeper', { ms: sleepMs })),
      );
      const services = stack
        .children()
        .filter(({ name }) => !['nats', 'store', 'signer'].includes(name) && !name.startsWith('worker'));
      for (const { name } of services) stack.kill(name, { restart: false });
      const lastDueAtMs = Date.now() + sleepMs;
      await pause(Math.max(0, lastDueAtMs + OUTAGE_MS - Date.now()));
      const connection = await listening(stack);
      const heard = new Heard(connection);
      for (const { name } of services) stack.child(name).revive();
      const revivedAtMs = performance.now();
      await probe();
      const backMs = performance.now() - revivedAtMs;
      const backAtMs = performance.now();
      const meanwhileMs: number[] = [];
      const untilMs = backAtMs + (runs / RELEASED_PER_SEC_MIN) * 1_000 + PATIENCE_MS;
      while (heard.endedLateMs.length < runs && performance.now() < untilMs) {
        meanwhileMs.push(await probe());
        await pause(PROBE_EVERY_MS);
      }
      const drainedMs = performance.now() - backAtMs;
      await client.close();
      await connection.close();
      return {
        load: 'w3-overdue',
        form,
        runs,
        asleepSeconds: Math.round((backAtMs - asleepFromMs + Date.now() - performance.now()) / 1_000),
        backMs: rounded(backMs),
        releasedPerSec: rounded(runs / (drainedMs / 1_000)),
        early: heard.firedLateMs.filter((late) => late < 0).length,
        idleP50Ms: rounded(percentile(idleMs, 0.5)),
        idleP99Ms: rounded(percentile(idleMs, 0.99)),
        meanwhileP50Ms: rounded(percentile(meanwhileMs, 0.5)),
        meanwhileP99Ms: rounded(percentile(meanwhileMs, 0.99)),
        timesIdleP50: rounded(percentile(meanwhileMs, 0.5) / percentile(idleMs, 0.5)),
        timesIdleP99: rounded(percentile(meanwhileMs, 0.99) / percentile(idleMs, 0.99)),
        executedTwice: Math.max(0, heard.endedLateMs.length - runs),
        lost: Math.max(0, runs - heard.endedLateMs.length),
      };
    },
  );
}
