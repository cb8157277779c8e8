import { parseArgs } from 'node:util';
import { chaos } from './chaos';

const SECONDS = 60;
const SEED = 7;
/** A broken system breaks in many places; the first ones tell enough. */
const VIOLATIONS_SHOWN = 50;

/** @returns 0, or 1 on any violation */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string' },
      seed: { type: 'string' },
      isolated: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const report = await chaos({
    seconds: Number(values.seconds ?? SECONDS),
    seed: Number(values.seed ?? SEED),
    isolated: values.isolated,
    say: (line) => process.stderr.write(`${line}\n`),
  });
  const shown = { ...report, violations: report.violations.slice(0, VIOLATIONS_SHOWN) };
  process.stdout.write(values.json ? `${JSON.stringify(shown)}\n` : `${JSON.stringify(shown, undefined, 2)}\n`);
  return report.violations.length === 0 ? 0 : 1;
}
