import { storeChaos } from '../chaos/store/store-chaos';

const SECONDS = 5;

it('an event store that is killed again and again loses, tears, moves and repeats nothing', async () => {
  const { violations, kills, simulatedKills, acknowledged } = await storeChaos({
    seconds: SECONDS,
    seed: 11,
    say: () => undefined,
  });
  expect(violations).toEqual([]);
  expect(simulatedKills).toBeGreaterThan(0);
  expect(kills).toBeGreaterThan(simulatedKills);
  expect(acknowledged).toBeGreaterThan(0);
});
