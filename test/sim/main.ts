import { parseArgs } from 'node:util';
import { SHOWN_AT } from './mutant-seeds';
import { MUTANTS } from './mutants';
import { Story, type Mutant, type StoryOptions, type StoryResult } from './story';

const SEEDS_DEFAULT = 200;
/** A planted fault that so many seeds do not show is one that no invariant sees. */
const MUTANT_SEEDS_MAX = 60;
const DETERMINISM_SAMPLE_EVERY = 50;
const LINES_SHOWN = 60;

interface Options {
  readonly seed: number | undefined;
  readonly seeds: number;
  readonly json: boolean;
  readonly mutants: boolean;
  readonly trace: boolean;
}

/** `perdure simulate`: stories from seeds; @returns the exit code: 0 = no invariant was broken. */
export async function main(args: readonly string[]): Promise<number> {
  const options = parse(args);
  return options.mutants ? huntMutants(options) : simulate(options);
}

function parse(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seeds: { type: 'string' },
      seed: { type: 'string' },
      json: { type: 'boolean', default: false },
      mutants: { type: 'boolean', default: false },
      trace: { type: 'boolean', default: false },
    },
  });
  const seed = values.seed === undefined ? undefined : Number(values.seed);
  const seeds = values.seeds === undefined ? (seed === undefined ? SEEDS_DEFAULT : 1) : Number(values.seeds);
  if (!Number.isInteger(seeds) || seeds < 1) throw new TypeError('--seeds wants a whole number above zero');
  if (seed !== undefined && !Number.isInteger(seed)) throw new TypeError('--seed wants a whole number');
  return { seed, seeds, json: values.json, mutants: values.mutants, trace: values.trace };
}

/** One story to its end; what breaks the story itself is a violation too. */
export async function tell(seed: number, options: Omit<StoryOptions, 'seed'> = {}): Promise<StoryResult> {
  const story = new Story({ seed, ...options });
  try {
    await story.run();
  } catch (error) {
    story.simulation.violate('story', `it broke off: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  }
  return story.result();
}

async function simulate({ seed, seeds, json, trace }: Options): Promise<number> {
  const first = seed ?? 1;
  const startedAtMs = Date.now();
  const violations: unknown[] = [];
  let reexecutedPure = 0;
  let virtualMs = 0;
  for (let current = first; current < first + seeds; current += 1) {
    const result = await tell(current, trace ? { onLine: (line) => void process.stderr.write(`${line}\n`) } : {});
    reexecutedPure += result.reexecutedPure;
    virtualMs += result.virtualMs;
    const isSampled = (current - first) % DETERMINISM_SAMPLE_EVERY === 0;
    const again = isSampled ? await tell(current) : result;
    if (again.traceHash !== result.traceHash)
      violations.push({ seed: current, invariant: 'determinism', message: `${result.traceHash}, then ${again.traceHash}` });
    for (const violation of result.violations) violations.push({ seed: current, ...violation });
    if (result.violations.length > 0) explain(result);
    if (!json) process.stderr.write(`\r${current - first + 1} of ${seeds} seeds, ${violations.length} violations`);
  }
  if (!json) process.stderr.write('\n');
  const elapsedS = (Date.now() - startedAtMs) / 1_000;
  const rate = (amount: number): number => Number((amount / elapsedS).toFixed(2));
  const report = { seeds, violations, simPerSec: rate(seeds), virtualSecPerSec: rate(virtualMs / 1_000), reexecutedPure };
  process.stdout.write(json ? `${JSON.stringify(report)}\n` : `${summary(report)}\n`);
  return violations.length === 0 ? 0 : 1;
}

function summary({
  seeds,
  violations,
  simPerSec,
  reexecutedPure,
}: {
  seeds: number;
  violations: readonly unknown[];
  simPerSec: number;
  reexecutedPure: number;
}): string {
  return `${seeds} seeds, ${violations.length} violations, ${simPerSec} stories a second, ${reexecutedPure} pure steps run again`;
}

/** All that is needed to see it again. */
function explain({ seed, violations, faults, lastLines }: StoryResult): void {
  const on = Object.entries(faults).filter(([, rate]) => rate !== 0);
  const lines = [
    `seed ${seed}: ${violations.length} violations`,
    ...violations.map(({ invariant, message, atMs }) => `  ${invariant} at ${atMs.toFixed(0)} ms: ${message}`),
    `  faults: ${on.map(([kind, rate]) => `${kind} ${rate}`).join(', ')}`,
    '  last lines of the trace:',
    ...lastLines.slice(-LINES_SHOWN).map((line) => `    ${line}`),
    `  again: ./perdure simulate --seed ${seed} --trace`,
  ];
  process.stderr.write(`\n${lines.join('\n')}\n`);
}

/** Takes each defence away by itself: a seed that shows it, if any; the one that did so last time is tried first. */
export async function hunt(mutant: Mutant): Promise<number | undefined> {
  const seeds = Array.from({ length: MUTANT_SEEDS_MAX }, (_, index) => index + 1);
  for (const seed of new Set([SHOWN_AT[mutant.name] ?? 1, ...seeds])) {
    const schedules = mutant.schedules === true;
    // What shows without the planted fault is not its doing.
    const isShown = (await tell(seed, { mutant, schedules })).violations.length > 0;
    if (isShown && (await tell(seed, { schedules })).violations.length === 0) return seed;
  }
  return undefined;
}

async function huntMutants({ json }: Options): Promise<number> {
  const mutants: { name: string; foundAtSeed: number | null }[] = [];
  for (const mutant of MUTANTS) {
    const seed = await hunt(mutant);
    mutants.push({ name: mutant.name, foundAtSeed: seed ?? null });
    if (!json) process.stderr.write(`${mutant.name}: ${seed === undefined ? 'NOT FOUND' : `found at seed ${seed}`}\n`);
  }
  const found = mutants.filter(({ foundAtSeed }) => foundAtSeed !== null).length;
  process.stdout.write(`${JSON.stringify({ planted: mutants.length, found, mutants })}\n`);
  return found === mutants.length ? 0 : 1;
}
