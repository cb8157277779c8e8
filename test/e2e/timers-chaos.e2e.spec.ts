import { timersChaos } from '../chaos/timers/timers-chaos';

it('fires each timer once and never early, whichever processes are killed', async () => {
  const schedule: string[] = [];
  const say = (line: string): void => void schedule.push(line);
  const report = await timersChaos({ runs: 400, seconds: 12, seed: 5, isolated: false, say });
  const { violations, early, lost, doubled } = report;
  expect({ violations, schedule: violations.length > 0 ? schedule : [] }).toEqual({ violations: [], schedule: [] });
  expect({ early, lost, doubled }).toEqual({ early: 0, lost: 0, doubled: 0 });
  expect(report.fired).toBeGreaterThan(400);
});
