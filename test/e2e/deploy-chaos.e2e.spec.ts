import { deployChaos } from '../chaos/deploy/deploy-chaos';

const RUNS = 16;

it('deploys a breaking change under live runs without a failure, and the check had named exactly what diverges', async () => {
  const said: string[] = [];
  const report = await deployChaos({ runs: RUNS, say: (line) => void said.push(line) });
  expect({ violations: report.violations, said: report.violations.length > 0 ? said : [] }).toEqual({ violations: [], said: [] });
  expect(report).toMatchObject({ failures: 0, named: RUNS, diverged: RUNS / 4 });
  expect(report.check).toMatchObject({ total: 2 * RUNS, checked: 2 * RUNS });
  expect(report.kills).toBeGreaterThan(0);
}, 180_000);
