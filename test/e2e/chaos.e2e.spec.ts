import { chaos } from '../chaos/chaos';

const SECONDS = 15;

it('loses and doubles nothing while everything is killed and the bus is wiped', async () => {
  const schedule: string[] = [];
  const { violations, runs, kills } = await chaos({
    seconds: SECONDS,
    seed: 4,
    isolated: false,
    say: (line) => schedule.push(line),
  });
  expect({ violations, schedule: violations.length > 0 ? schedule : [] }).toEqual({ violations: [], schedule: [] });
  expect(runs).toBeGreaterThan(0);
  expect(Object.values(kills).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
});
