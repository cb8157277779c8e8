import { chanceFrom } from '../crash/chance';
import { RecentIds } from './recent-ids';

const SEED = 20_260_101;
/** An append of 1 MiB holds about as many small events. */
const EVENTS = 5_000;

function randomIds(count: number): readonly Buffer[] {
  const chance = chanceFrom(SEED);
  const bytes = Buffer.alloc(16 * count);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(Math.floor(chance() * 4_294_967_296), at);
  return Array.from({ length: count }, (_, index) => bytes.subarray(16 * index, 16 * index + 16));
}

it('knows every id of a large append, so that its repeat is recognised whole', () => {
  const recent = new RecentIds();
  const ids = randomIds(EVENTS);
  ids.forEach((id, event) => recent.remember(id, 7, event));
  expect(ids.findIndex((id, event) => recent.find(id, 7) !== event)).toBe(-1);
});

it('says of an id that was written twice where it was written last', () => {
  const recent = new RecentIds();
  const [id] = randomIds(1) as [Buffer];
  recent.remember(id, 7, 1);
  recent.remember(id, 8, 2);
  recent.remember(id, 7, 3);
  expect([recent.find(id, 7), recent.find(id, 8), recent.find(id, 9)]).toEqual([3, 2, undefined]);
});

it('lets the oldest give way, and forgets what was withdrawn', () => {
  const recent = new RecentIds();
  const ids = randomIds(600_000);
  ids.forEach((id, event) => recent.remember(id, 7, event));
  const known = (from: number): number => ids.slice(from, from + EVENTS).filter((id) => recent.find(id, 7) !== undefined).length;
  expect(known(0)).toBe(0);
  expect(known(ids.length - EVENTS)).toBe(EVENTS);
  recent.withdraw(ids.length - EVENTS);
  expect(known(ids.length - EVENTS)).toBe(0);
});
