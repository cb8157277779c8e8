import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT, type Stack } from '@perdure/cli';
import { Client } from '@perdure/sdk';
import { lineCounter, readBook, type BookLine } from '../rig/book';
import { withFreshStack } from '../rig/fresh-stack';
import { readRuns, recordedAt, type LoggedFact } from '../rig/log';
import type { BenchOptions } from './main';
import type { Figures } from './show';

const ENTRY = join(ROOT, 'dist/test/bench/entries/slow-steps.js');
const RUNS = 100;
const STEPS = 20;
const STEP_MS = 20;
const LOOK_EVERY_MS = 2;
const VICTIM = 'worker-1';

/** W5: the worker is killed when half of all steps have begun. */
export async function deathLoad(options: BenchOptions): Promise<Figures> {
  const { form, secondWorker, runs = RUNS, steps = STEPS } = options;
  let book = '';
  const stackOptions = (folder: string) => {
    book = join(folder, 'executions.jsonl');
    const workerEnv = { PERDURE_BENCH_BOOK: book };
    return { form, entry: ENTRY, workers: secondWorker ? 2 : 1, slots: runs, workerEnv };
  };
  return withFreshStack(stackOptions, async ({ stack }) => {
    const client = await Client.connect({ url: stack.clientUrl });
    const warmUp = await client.start('slow-steps', { steps: 1, stepMs: 0 });
    await warmUp.result();
    const begun = lineCounter(book);
    const before = begun();
    const handles = await Promise.all(Array.from({ length: runs }, () => client.start('slow-steps', { steps, stepMs: STEP_MS })));
    const outputs = Promise.all(handles.map((run) => run.result().catch(() => undefined)));
    while (begun() - before < (runs * steps) / 2) await sleep(LOOK_EVERY_MS);
    const killedAtMs = Date.now();
    kill(stack, secondWorker);
    const wrong = (await outputs).filter((output) => (output as { sum?: number } | undefined)?.sum !== (steps * (steps - 1)) / 2);
    const killToDoneMs = Date.now() - killedAtMs;
    await client.close();
    const facts = await readRuns(stack.storeUrl);
    const { executedTwice, inFlight } = repeatedIn(readBook(book), facts);
    return {
      load: 'w5',
      form,
      secondWorker,
      runs,
      steps,
      stepMs: STEP_MS,
      killToDoneMs,
      ...timesAfter(killedAtMs, facts),
      stepsInFlightRepeated: inFlight,
      stepsExecutedTwiceAcknowledged: executedTwice,
      executedTwice,
      lost: wrong.length,
    };
  });
}

function kill(stack: Stack, forGood: boolean): void {
  stack.kill(VICTIM, { restart: !forGood });
}

/** When the first and the last run was known to be lost, and assigned again. */
function timesAfter(
  killedAtMs: number,
  runs: ReadonlyMap<string, readonly LoggedFact[]>,
): Readonly<Record<string, number | undefined>> {
  const after = (type: string): number[] =>
    [...runs.values()]
      .flat()
      .filter((fact) => fact.type === type && fact.recordedAtMs >= killedAtMs)
      .map(({ recordedAtMs }) => recordedAtMs - killedAtMs)
      .sort((left, right) => left - right);
  const [lost, assigned] = [after('ActivationLost'), after('RunAssigned')];
  return {
    runsInterrupted: lost.length,
    detectedFirstMs: lost[0],
    detectedLastMs: lost.at(-1),
    reassignedFirstMs: assigned[0],
    reassignedLastMs: assigned.at(-1),
  };
}

/** Begun again after its result stood in the log: wrong. Begun again without: it was in flight when the worker died. */
function repeatedIn(
  book: readonly BookLine[],
  runs: ReadonlyMap<string, readonly LoggedFact[]>,
): { readonly executedTwice: number; readonly inFlight: number } {
  const recorded = new Map([...runs].map(([runId, facts]) => [runId, recordedAt(facts)]));
  const seen = new Set<string>();
  let executedTwice = 0;
  let inFlight = 0;
  for (const { runId, what, atMs } of book) {
    const key = `${runId} ${what}`;
    if (!seen.has(key)) seen.add(key);
    else if (atMs > (recorded.get(runId)?.get(what) ?? Infinity)) executedTwice += 1;
    else inFlight += 1;
  }
  return { executedTwice, inFlight };
}
