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

/** @throws NotBuilt */
export async function runElsewhere(command: keyof typeof MODULES, args: readonly string[]): Promise<number> {
  const path = join(ROOT, MODULES[command]);
  if (!existsSync(path)) throw new NotBuilt(command, path);
  const { main } = require(path) as Elsewhere;
  return main(args);
}
