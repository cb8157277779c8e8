import { paymentsChaos } from '../chaos/payments/payments-chaos';

const SECONDS = 15;
const PAYMENTS = 150;

it('moves money once for each payment, and asks persons about those only that nobody else can tell of', async () => {
  const schedule: string[] = [];
  const say = (line: string): void => void schedule.push(line);
  const report = await paymentsChaos({ payments: PAYMENTS, seconds: SECONDS, seed: 11, isolated: false, say });
  const { violations, doubled, lost, silences } = report;
  expect({ violations, schedule: violations.length > 0 ? schedule : [] }).toEqual({ violations: [], schedule: [] });
  expect({ doubled, lost }).toEqual({ doubled: 0, lost: 0 });
  expect(silences).toBeGreaterThan(0);
});
