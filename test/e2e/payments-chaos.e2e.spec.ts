import { paymentsChaos } from '../chaos/payments/payments-chaos';

const SECONDS = 15;
const PAYMENTS = 150;
const POINT_PAYMENTS = 100;
/** Each point takes a restart, and what it leaves unknown a probe. */
const POINTS_MAX_MS = 240_000;

it('moves money once for each payment, and asks persons about those only that nobody else can tell of', async () => {
  const schedule: string[] = [];
  const say = (line: string): void => void schedule.push(line);
  const report = await paymentsChaos({ payments: PAYMENTS, seconds: SECONDS, seed: 11, isolated: false, say });
  const { violations, doubled, lost, silences } = report;
  expect({ violations, schedule: violations.length > 0 ? schedule : [] }).toEqual({ violations: [], schedule: [] });
  expect({ doubled, lost }).toEqual({ doubled: 0, lost: 0 });
  expect(silences).toBeGreaterThan(0);
});

it(
  'loses and doubles no payment, whichever process ends at whichever moment of it',
  async () => {
    const report = await paymentsChaos({
      payments: POINT_PAYMENTS,
      seconds: 0,
      seed: 3,
      isolated: false,
      points: true,
      say: () => undefined,
    });
    const { violations, doubled, lost } = report;
    expect({ violations, doubled, lost }).toEqual({ violations: [], doubled: 0, lost: 0 });
  },
  POINTS_MAX_MS,
);
