import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT, type Stack } from '@perdure/cli';
import { Client } from '@perdure/sdk';
import { readBook } from '../rig/book';
import { percentile } from '../rig/figures';
import { withFreshStack } from '../rig/fresh-stack';
import { readRuns, type LoggedFact } from '../rig/log';
import { SERVICES, WORKERS } from './cast';
import { judge, type ChaosLine, type Verdict } from './judge';
import { Load } from './load';
import { scheduleOf } from './schedule';
import { torment, type Damage } from './torment';

export interface ChaosOptions {
  readonly seconds: number;
  readonly seed: number;
  readonly isolated: boolean;
  /** Progress, for people. */
  readonly say: (line: string) => void;
}

export interface ChaosReport extends Verdict {
  readonly form: 'dev' | 'isolated';
  readonly seed: number;
  readonly seconds: number;
  readonly runs: number;
  readonly kills: Readonly<Record<string, number>>;
  /** Pauses after several lost activations in a row, ended as a person would. */
  readonly quarantinesEnded: number;
  /** From the last fault until every run had ended. */
  readonly settledMs: number;
  readonly workerDeathToReassignP50Ms: number;
  readonly workerDeathToReassignMaxMs: number;
}

const ENTRY = join(ROOT, 'dist/test/chaos/entries/mixed.js');
const HEAL_MAX_MS = 60_000;
const LOOK_EVERY_MS = 500;

export async function chaos({ seconds, seed, isolated, say }: ChaosOptions): Promise<ChaosReport> {
  const form = isolated ? 'isolated' : 'dev';
  const faults = scheduleOf({ seed, seconds, cast: { workers: WORKERS, services: SERVICES[form] } });
  say(`seed ${seed}, ${form}, ${seconds} s, ${faults.length} faults`);
  let failed = true;
  const stackOptions = (folder: string) => {
    const workerEnv = { PERDURE_CHAOS_BOOK: join(folder, 'executions.jsonl') };
    return { form, entry: ENTRY, workers: WORKERS.length, workerEnv, keep: () => failed } as const;
  };
  return withFreshStack(stackOptions, async ({ stack, folder }) => {
    const client = await Client.connect({ url: stack.clientUrl });
    const load = new Load(client, seed);
    const ended = load.run();
    const damage = await Promise.race([torment(stack, faults, say), failure(ended)]);
    const lastFaultAt = performance.now();
    load.finish(HEAL_MAX_MS);
    say(`no more faults; ${load.open().length} of ${load.orders.length} runs are open`);
    const quarantinesEnded = await heal({ load, client, ended, say });
    const settledMs = Math.round(performance.now() - lastFaultAt);
    await client.close();
    const report = await reportOf({ stack, load, folder, damage });
    failed = report.violations.length > 0;
    return { form, seed, seconds, ...report, quarantinesEnded, settledMs };
  });
}

/** The load ends by itself only when something is broken. */
async function failure(ended: Promise<void>): Promise<never> {
  await ended;
  throw new Error('the load ended before its time');
}

/** What kills have paused is resumed, as a person would do who has read why. */
async function heal({
  load,
  client,
  ended,
  say,
}: {
  readonly load: Load;
  readonly client: Client;
  readonly ended: Promise<void>;
  readonly say: (line: string) => void;
}): Promise<number> {
  let over = false;
  let resumed = 0;
  const watch = ended.finally(() => (over = true));
  while (!over) {
    await Promise.race([watch, pause(LOOK_EVERY_MS)]);
    for (const { runIds } of over ? [] : load.open()) {
      const [runId] = runIds;
      const view = runId === undefined ? undefined : await client.view(runId).catch(() => undefined);
      if (!view?.pausedBecause?.startsWith('quarantined')) continue;
      say(`${view.runId} is ${view.pausedBecause}`);
      await client.resume(view.runId, 'chaos is over').then(
        () => (resumed += 1),
        () => undefined,
      );
    }
  }
  await watch;
  return resumed;
}

async function reportOf({
  stack,
  load,
  folder,
  damage,
}: {
  readonly stack: Stack;
  readonly load: Load;
  readonly folder: string;
  readonly damage: Damage;
}) {
  const runs = await readRuns(stack.storeUrl);
  const book = readBook(join(folder, 'executions.jsonl')) as readonly ChaosLine[];
  const reassigned = reassignments(runs, damage);
  return {
    runs: load.orders.length,
    kills: { ...damage.kills, busWipes: damage.busWipes },
    ...judge({ orders: load.orders, runs, book }),
    workerDeathToReassignP50Ms: Math.round(percentile(reassigned, 0.5)),
    workerDeathToReassignMaxMs: Math.round(percentile(reassigned, 1)),
  };
}

/** From the death of a worker to the next assignment of each run that it held; other faults may lie in between. */
function reassignments(runs: ReadonlyMap<string, readonly LoggedFact[]>, { workerDeaths }: Damage): readonly number[] {
  return [...runs.values()].flatMap((facts) =>
    facts.flatMap((fact, index) => {
      if (fact.type !== 'ActivationLost') return [];
      const holder = facts.slice(0, index).findLast(({ type }) => type === 'RunAssigned')?.data.workerId;
      const again = facts.slice(index).find(({ type }) => type === 'RunAssigned');
      const death = workerDeaths.findLast(({ worker, atMs }) => worker === holder && atMs <= fact.recordedAtMs);
      return again && death ? [again.recordedAtMs - death.atMs] : [];
    }),
  );
}
