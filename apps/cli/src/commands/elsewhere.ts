import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { NotBuilt } from '../cli.errors';
import { ROOT } from '../stack/programs';

/** Commands whose code is not part of the CLI: it is loaded when it is asked for. */
const MODULES: Readonly<Record<string, string>> = {
  bench: 'dist/test/bench/main.js',
  chaos: 'dist/test/chaos/main.js',
  simulate: 'dist/test/sim/main.js',
};

/** Of the named module: `main(args): Promise<number>`, the exit code. */
interface Elsewhere {
  main(args: readonly string[]): Promise<number>;
}

export async function runElsewhere(name: string, args: readonly string[]): Promise<number> {
  const path = join(ROOT, MODULES[name] ?? '');
  if (!existsSync(path)) throw new NotBuilt(name, path);
  const { main } = (await import(path)) as Elsewhere;
  return main(args);
}

/** The options of commander as the words that they came from. */
export function wordsOf(options: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [flag] : value === undefined || value === false ? [] : [flag, String(value)];
  });
}
