import { parseArgs } from 'node:util';
import { Terminal } from '@perdure/kernel';
import { overdueLoad } from './overdue';
import { pendingLoad } from './pending';
import { show, type Figures } from './show';
import { storeLoad } from './store';
import { stepsLoad } from './w1';
import { startsLoad } from './w2';
import { sleepsLoad } from './w3';
import { signalsLoad } from './w4';
import { deathLoad } from './w5';
import { fanOutLoad } from './w6';
import { sleepersLoad } from './w7';
import { longRunsLoad } from './w8';

/** What a load may be told; each takes what it understands, and has its own defaults. */
export interface BenchOptions {
  readonly form: 'dev' | 'isolated';
  readonly runs: number | undefined;
  readonly steps: number | undefined;
  readonly concurrency: number | undefined;
  readonly pure: boolean;
  readonly secondWorker: boolean;
  readonly seconds: number | undefined;
  readonly rounds: number | undefined;
  readonly events: number | undefined;
  readonly streams: number | undefined;
  readonly memory: boolean;
  readonly overdue: boolean;
  readonly pending: number | undefined;
  readonly rate: number | undefined;
}

const LOADS: Readonly<Record<string, (options: BenchOptions) => Promise<Figures>>> = {
  w1: stepsLoad,
  w2: startsLoad,
  w3: (options) => (options.overdue ? overdueLoad : options.pending === undefined ? sleepsLoad : pendingLoad)(options),
  w4: signalsLoad,
  w5: deathLoad,
  w6: fanOutLoad,
  w7: sleepersLoad,
  w8: longRunsLoad,
  store: storeLoad,
};

/** `<load> [options]`. @returns 0, or 1 when something was lost or done twice */
export async function main(args: readonly string[]): Promise<number> {
  const [load = '', ...words] = args;
  const { values } = parseArgs({
    args: words,
    options: {
      runs: { type: 'string' },
      steps: { type: 'string' },
      concurrency: { type: 'string' },
      pure: { type: 'boolean', default: false },
      isolated: { type: 'boolean', default: false },
      'second-worker': { type: 'boolean', default: false },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      events: { type: 'string' },
      streams: { type: 'string' },
      memory: { type: 'boolean', default: false },
      overdue: { type: 'boolean', default: false },
      pending: { type: 'string' },
      rate: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const run = LOADS[load];
  if (!run) throw new Terminal('BadUsage', `There is no load ${load}; there are ${Object.keys(LOADS).join(', ')}.`);
  const figures = await run({
    form: values.isolated ? 'isolated' : 'dev',
    runs: countOf(values.runs),
    steps: countOf(values.steps),
    concurrency: countOf(values.concurrency),
    pure: values.pure,
    secondWorker: values['second-worker'],
    seconds: countOf(values.seconds),
    rounds: countOf(values.rounds),
    events: countOf(values.events),
    streams: countOf(values.streams),
    memory: values.memory,
    overdue: values.overdue,
    pending: countOf(values.pending),
    rate: countOf(values.rate),
  });
  process.stdout.write(values.json ? `${JSON.stringify(figures)}\n` : show(figures));
  return figures.lost === 0 && figures.executedTwice === 0 ? 0 : 1;
}

function countOf(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}
