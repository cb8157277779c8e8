import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { NotBuilt } from '../cli.errors';
import { ROOT } from '../stack/programs';

/** Commands whose code is not part of the CLI: it is loaded when it is asked for, and reads its own options. */
const MODULES = {
  bench: 'dist/test/bench/main.js',
  chaos: 'dist/test/chaos/main.js',
  simulate: 'dist/test/sim/main.js',
} as const;

/** Of the named module; the number is the exit code. */
interface Elsewhere {
  main(args: readonly string[]): Promise<number>;
}

/** A run that could not be read; `ended`: it is live no more. */
export interface UnreadRun {
  readonly runId: string;
  readonly problem: string;
  readonly ended: boolean;
}

/** Live runs, each as a line of an export, with their number. */
export type RunSource = () => Promise<{ readonly total: number; readonly runs: AsyncIterable<string | UnreadRun> }>;

/** What a check found: the words of the program that makes it. */
export interface CheckReport {
  /** Build ids, by pool. */
  readonly candidate: Readonly<Record<string, string>>;
  readonly total: number;
  readonly checked: number;
  readonly same: number;
  readonly elsewhere: number;
  readonly ended: number;
  readonly repeated: number;
  readonly different: readonly {
    readonly name: string;
    readonly kind: string;
    readonly buildId?: string;
    readonly at: { readonly call: string; readonly expected: string; readonly found: string; readonly position?: number };
    readonly runIds: readonly string[];
  }[];
  readonly unchecked: readonly { readonly runId: string; readonly why: string }[];
  readonly outOfTime: number;
  readonly tookMs: number;
}

/** User code is loaded by the worker's program, which alone knows how. */
const CHECK_PROGRAM = 'apps/worker/dist/deploy/deploy.js';

/** @throws NotBuilt, EntryBroken, EntryEmpty */
export async function checkBuild(options: {
  readonly entry: string;
  readonly source: RunSource;
  readonly budgetMs: number;
}): Promise<CheckReport> {
  const path = join(ROOT, CHECK_PROGRAM);
  if (!existsSync(path)) throw new NotBuilt('deploy check', path);
  const { check } = require(path) as { check(options: object): Promise<CheckReport> };
  return check(options);
}

/** @throws NotBuilt */
export async function runElsewhere(command: keyof typeof MODULES, args: readonly string[]): Promise<number> {
  const path = join(ROOT, MODULES[command]);
  if (!existsSync(path)) throw new NotBuilt(command, path);
  const { main } = require(path) as Elsewhere;
  return main(args);
}
