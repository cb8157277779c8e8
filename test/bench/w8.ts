import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT, type Stack } from '@perdure/cli';
import { Terminal } from '@perdure/kernel';
import { Client } from '@perdure/sdk';
import { percentile, rounded } from '../rig/figures';
import { withFreshStack } from '../rig/fresh-stack';
import { readRuns, type LoggedFact } from '../rig/log';
import type { BenchOptions } from './main';
import type { Figures } from './show';

/**
 * W8: what it costs to go on with a run that has lived long. Its worker is killed while the run is at its last piece of work;
 * counted is the time from its assignment to a worker that has never seen it until that work begins again there.
 */
const ENTRY = join(ROOT, 'dist/test/bench/entries/long-runs.js');
const SIZES = [100, 1_000, 10_000, 100_000] as const;
const SIZE_MAX = 10_000;
const WORKER = 'worker-1';
const LOOK_EVERY_MS = 20;
/** A run that is not at its last piece of work by then has stopped on its way there. */
const HELD_WITHIN_MS = 1_200_000;
/** Long enough to be seen and cut off by the kill. */
const HOLD_MS = 1_500;

interface BookLine {
  readonly what: 'hold' | 'asked';
  readonly label: string;
  readonly pid: number;
  readonly atMs: number;
  readonly times?: readonly number[];
}

interface Trial {
  readonly name: 'talker' | 'windowed' | 'replayer';
  readonly cutOffIn: 'tool' | 'model' | 'step';
}

/** The same agent, told apart by what its model is shown and by where it is cut off. */
const AGENTS: readonly Trial[] = [
  { name: 'windowed', cutOffIn: 'model' },
  { name: 'windowed', cutOffIn: 'tool' },
  { name: 'talker', cutOffIn: 'model' },
  { name: 'talker', cutOffIn: 'tool' },
];
const WORKFLOW: Trial = { name: 'replayer', cutOffIn: 'step' };

export async function longRunsLoad(options: BenchOptions): Promise<Figures> {
  const { form, steps = SIZE_MAX } = options;
  const sizes = SIZES.filter((size) => size <= steps);
  let book = '';
  const stackOptions = (folder: string) => {
    book = join(folder, 'book.jsonl');
    return { form, entry: ENTRY, workers: 1, workerEnv: { PERDURE_BENCH_BOOK: book } };
  };
  return withFreshStack(stackOptions, async ({ stack }) => {
    const bench = new LongRuns(stack, await Client.connect({ url: stack.clientUrl }), () => readBook(book));
    // Code is compiled, connections are open.
    for (const trial of [...AGENTS, WORKFLOW]) await bench.trial(trial, SIZES[0]);
    const agents = [];
    for (const trial of AGENTS) {
      const rows = [];
      for (const size of sizes) rows.push(await bench.trial(trial, size));
      agents.push({ trial, rows });
    }
    const workflows = [];
    for (const size of sizes) workflows.push(await bench.trial(WORKFLOW, size));
    const lost = bench.wrong;
    await bench.close();
    return {
      load: 'w8',
      form,
      agents: agents.flatMap(({ trial, rows }) => rows.map((row) => ({ ...trial, ...row }))),
      growth: agents.map(({ trial, rows }) => ({
        ...trial,
        recover: growth(rows.map(({ recoverMs }) => recoverMs)),
        decision: growth(rows.map(({ decisionP99Ms }) => decisionP99Ms)),
        workerRss: growth(rows.map(({ workerRssMb }) => workerRssMb)),
        servicesRss: growth(rows.map(({ servicesRssMb }) => servicesRssMb)),
      })),
      workflows: workflows.map(({ size, recoverMs, workerRssMb }) => ({
        results: size,
        recoverMs,
        resultsPerSec: Math.round(size / (recoverMs / 1_000)),
        workerRssMb,
      })),
      executedTwice: 0,
      lost,
    };
  });
}

/** Of the largest against the smallest. */
function growth(figures: readonly number[]): number {
  return rounded((figures.at(-1) ?? 0) / Math.max(1, figures[0] ?? 1));
}

class LongRuns {
  wrong = 0;
  private trials = 0;

  constructor(
    private readonly stack: Stack,
    private readonly client: Client,
    private readonly book: () => readonly BookLine[],
  ) {}

  async close(): Promise<void> {
    await this.client.close();
  }

  async trial({ name, cutOffIn }: Trial, size: number) {
    this.trials += 1;
    const label = `${name}-${size}-${this.trials}`;
    const run = await this.client.start(name, { label, size, holdMs: HOLD_MS, cutOffIn });
    const first = await this.heldBy(label, 0);
    this.stack.kill(WORKER);
    const again = await this.heldBy(label, first.pid);
    const [services = 0, worker = 0] = ['services', WORKER].map((child) => this.rssOf(child));
    await run.result().catch(() => (this.wrong += 1));
    const facts = (await readRuns(this.stack.storeUrl)).get(run.runId) ?? [];
    const decisions = gaps(this.book().find((line) => line.what === 'asked' && line.label === label)?.times ?? []);
    return {
      size,
      facts: facts.length,
      recoverMs: again.atMs - assignedAtMs(facts, again.atMs),
      decisionP50Ms: rounded(percentile(decisions, 0.5)),
      decisionP99Ms: rounded(percentile(decisions, 0.99)),
      servicesRssMb: services,
      workerRssMb: worker,
    };
  }

  private async heldBy(label: string, notByPid: number): Promise<BookLine> {
    const untilMs = performance.now() + HELD_WITHIN_MS;
    while (performance.now() < untilMs) {
      const held = this.book().find((line) => line.what === 'hold' && line.label === label && line.pid !== notByPid);
      if (held !== undefined) return held;
      await pause(LOOK_EVERY_MS);
    }
    throw new Terminal('BenchStuck', `The run of ${label} did not come to its last piece of work.`);
  }

  private rssOf(child: string): number {
    return Math.round(this.stack.usage().find(({ name }) => name === child)?.rssMb ?? 0);
  }
}

/** It may be assigned once more afterwards, on a machine that is busy. */
function assignedAtMs(facts: readonly LoggedFact[], untilMs: number): number {
  return facts.filter(({ type, recordedAtMs }) => type === 'RunAssigned' && recordedAtMs <= untilMs).at(-1)?.recordedAtMs ?? 0;
}

function gaps(times: readonly number[]): readonly number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? time));
}

function readBook(path: string): readonly BookLine[] {
  if (!existsSync(path)) return [];
  const text = readFileSync(path, 'utf8');
  return text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as BookLine);
}
