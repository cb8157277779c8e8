import { parseArgs } from 'node:util';
import { chaos } from './chaos';
import { deployChaos } from './deploy/deploy-chaos';
import { paymentsChaos } from './payments/payments-chaos';
import { storeChaos } from './store/store-chaos';
import { timersChaos } from './timers/timers-chaos';

const SECONDS = 60;
const SEED = 7;
/** A broken system breaks in many places; the first ones tell enough. */
const VIOLATIONS_SHOWN = 50;

const PAYMENTS = 1_000;
/** Enough to be on their way until the last crash point. */
const PAYMENTS_BY_POINTS = 150;

/** Agents, and as many workflows. */
const DEPLOY_RUNS = 1_000;

/** That wait, some hundreds at a time. */
const TIMER_RUNS = 4_000;

const SCENARIOS = ['runs', 'store', 'payments', 'deploy', 'timers'] as const;

/** @returns 0, or 1 on any violation, or 2 when it was asked for something that is not there */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      scenario: { type: 'string', default: 'runs' },
      seconds: { type: 'string' },
      seed: { type: 'string' },
      payments: { type: 'string' },
      points: { type: 'boolean', default: false },
      runs: { type: 'string' },
      isolated: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  });
  const { scenario } = values;
  if (!SCENARIOS.some((known) => known === scenario)) {
    process.stderr.write(`There is no scenario "${scenario}"; there are: ${SCENARIOS.join(', ')}.\n`);
    return 2;
  }
  const common = {
    seconds: Number(values.seconds ?? SECONDS),
    seed: Number(values.seed ?? SEED),
    say: (line: string) => void process.stderr.write(`${line}\n`),
  };
  const { isolated, points } = values;
  const payments = Number(values.payments ?? (points ? PAYMENTS_BY_POINTS : PAYMENTS));
  const report =
    scenario === 'store'
      ? await storeChaos(common)
      : scenario === 'payments'
        ? await paymentsChaos({ ...common, isolated, payments, points })
        : scenario === 'deploy'
          ? await deployChaos({ runs: Number(values.runs ?? DEPLOY_RUNS), say: common.say })
          : scenario === 'timers'
            ? await timersChaos({ ...common, isolated, runs: Number(values.runs ?? TIMER_RUNS) })
            : await chaos({ ...common, isolated });
  const shown = { ...report, violations: report.violations.slice(0, VIOLATIONS_SHOWN) };
  process.stdout.write(values.json ? `${JSON.stringify(shown)}\n` : `${JSON.stringify(shown, undefined, 2)}\n`);
  return report.violations.length === 0 ? 0 : 1;
}
