import { setTimeout as pause } from 'node:timers/promises';
import type { BusConnection } from '@perdure/platform-bus-jetstream';
import { Client } from '@perdure/sdk';
import { closedLoop } from '../rig/closed-loop';
import { percentile, rounded } from '../rig/figures';
import { withFreshStack } from '../rig/fresh-stack';
import { readSomeRuns, type LoggedFact } from '../rig/log';
import { meter } from './cost';
import { listening } from './heard';
import type { BenchOptions } from './main';
import type { Figures } from './show';
import { WAITS_ENTRY } from './w4';

const PENDING = 1_000_000;
const RATE = 2_000;
const SECONDS = 30;
const SLOTS = 400;
const STARTS_AT_ONCE = 4;
const TIMERS_A_RUN = 1_000;
/** Runs among which those that become due are shared out. */
const DRIPPING = 200;
/** Setting them takes so long on a busy machine. */
const SET_PER_SEC_MIN = 1_000;
const YEAR_MS = 365 * 24 * 3_600_000;
const LOOK_EVERY_MS = 500;
const PATIENCE_MS = 300_000;

/**
 * W3 at scale: so many timers pending, and at a rate others that become due. Apart: how late they are said to be due (the request on the
 * bus), and how late that is a fact (by the store's clock). More than the owners of runs bear is drained at the rate that `firedPerSec` says.
 */
export async function pendingLoad(options: BenchOptions): Promise<Figures> {
  const { form, pending = PENDING, rate = RATE, seconds = SECONDS } = options;
  return withFreshStack(
    () => ({ form, entry: WAITS_ENTRY, workers: 1, slots: SLOTS }),
    async ({ stack }) => {
      const client = await Client.connect({ url: stack.clientUrl });
      const connection = await listening(stack);
      const memoryMb = (): object =>
        Object.fromEntries(
          stack.usage().map(({ name, anonMb, pssMb }) => [name, `${Math.round(anonMb)} of ${Math.round(pssMb)}`]),
        );
      const empty = memoryMb();
      const setPerSec = await fill(client, pending);
      const full = memoryMb();

      const timers = Math.ceil((rate * seconds) / DRIPPING);
      const everyMs = (DRIPPING * 1_000) / rate;
      const firstAtMs = Date.now() + ((rate * seconds) / SET_PER_SEC_MIN) * 1_000 + 5_000;
      const emitted = new Emitted(connection);
      const runs = await Promise.all(
        Array.from({ length: DRIPPING }, (_, n) =>
          client.start('drip', { timers, firstAtMs: firstAtMs + (n * everyMs) / DRIPPING, everyMs }),
        ),
      );
      await pause(Math.max(0, firstAtMs - Date.now()));
      const cost = meter(stack);
      const untilMs = Date.now() + seconds * 1_000 + PATIENCE_MS;
      const ended = await Promise.race([
        Promise.all(runs.map((run) => run.result())).then(() => true),
        pause(untilMs - Date.now(), false, { ref: false }),
      ]);
      const { cpuSeconds, cpuByProcess, rssMb } = cost();
      const verdict = judge([
        ...(
          await readSomeRuns(
            stack.storeUrl,
            runs.map(({ runId }) => runId),
          )
        ).values(),
      ]);
      const { lateMs } = emitted;
      await client.close();
      await connection.close();
      return {
        load: 'w3-pending',
        form,
        pending,
        setPerSec: rounded(setPerSec),
        anonOfPssMbEmpty: empty,
        anonOfPssMbFull: full,
        rate,
        seconds,
        due: timers * DRIPPING,
        emittedP50Ms: rounded(percentile(lateMs, 0.5)),
        emittedP99Ms: rounded(percentile(lateMs, 0.99)),
        factP50Ms: percentile(verdict.lateMs, 0.5),
        factP99Ms: percentile(verdict.lateMs, 0.99),
        firedPerSec: rounded(verdict.perSec),
        early: verdict.lateMs.filter((late) => late < 0).length,
        cpuSeconds: rounded(cpuSeconds),
        cpuSecPer1kFired: rounded((cpuSeconds / verdict.lateMs.length) * 1_000, 3),
        cpuByProcess,
        rssMb,
        executedTwice: verdict.doubled,
        lost: timers * DRIPPING - verdict.lateMs.length + (ended ? 0 : 1),
      };
    },
  );
}

/** @returns how many were set a second */
async function fill(client: Client, pending: number): Promise<number> {
  const startedAtMs = performance.now();
  await closedLoop({ count: Math.ceil(pending / TIMERS_A_RUN), concurrency: STARTS_AT_ONCE }, async () => {
    const run = await client.start('hoard', { timers: TIMERS_A_RUN, ms: YEAR_MS });
    while ((await run.view()).status !== 'suspended') await pause(LOOK_EVERY_MS);
  });
  return pending / ((performance.now() - startedAtMs) / 1_000);
}

/** How late each timer was said to be due, for the first time. */
class Emitted {
  readonly lateMs: number[] = [];
  private readonly dueAtMs = new Map<string, number>();

  constructor({ bus }: BusConnection) {
    bus.subscribe('perdure.evt.default.run.timer-set.*', ({ payload }) => {
      const { stream, data } = JSON.parse(payload) as { stream: string; data: { timerId: string; dueAtMs: number } };
      this.dueAtMs.set(`${stream.slice(stream.indexOf('.') + 1)} ${data.timerId}`, data.dueAtMs);
    });
    bus.subscribe('perdure.part.*.req.default.run.*', ({ subject, payload }) => {
      if (!payload.includes('FireTimer')) return;
      const { command } = JSON.parse(payload) as { command: { timerId: string } };
      const name = `${subject.slice(subject.lastIndexOf('.') + 1)} ${command.timerId}`;
      const dueAtMs = this.dueAtMs.get(name);
      if (dueAtMs === undefined) return;
      this.lateMs.push(Date.now() - dueAtMs);
      this.dueAtMs.delete(name);
    });
  }
}

/** By the log alone. */
function judge(runs: readonly (readonly LoggedFact[])[]) {
  const lateMs: number[] = [];
  const recordedAtMs: number[] = [];
  let doubled = 0;
  for (const facts of runs) {
    const fired = new Set<unknown>();
    for (const { type, data, recordedAtMs: atMs } of facts) {
      if (type !== 'TimerFired') continue;
      if (fired.has(data.timerId)) doubled += 1;
      fired.add(data.timerId);
      lateMs.push(atMs - Number(data.dueAtMs));
      recordedAtMs.push(atMs);
    }
  }
  recordedAtMs.sort((left, right) => left - right);
  const [first = 0, last = 0] = [recordedAtMs[0], recordedAtMs.at(-1)];
  return { lateMs, doubled, perSec: lateMs.length / Math.max(1, (last - first) / 1_000) };
}
