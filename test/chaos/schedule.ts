import { SeededRandom } from '@perdure/testing';

export type Fault =
  { readonly atMs: number; readonly do: 'kill'; readonly target: string } | { readonly atMs: number; readonly do: 'wipe-bus' };

/** Between two faults, on average: above the time a process takes to start, so that runs also get somewhere. */
const GAP_MEAN_MS = 900;
const GAP_MIN_MS = 60;
const FIRST_AFTER_MS = 500;
/** How often which; the rest is for workers. */
const WIPE_SHARE = 0.06;
const STORE_SHARE = 0.12;
const BROKER_SHARE = 0.12;
const SERVICES_SHARE = 0.35;

export interface Cast {
  readonly workers: readonly string[];
  readonly services: readonly string[];
}

/** All from the seed: what dies when. */
export function scheduleOf({
  seed,
  seconds,
  cast,
}: {
  readonly seed: number;
  readonly seconds: number;
  readonly cast: Cast;
}): readonly Fault[] {
  const random = new SeededRandom(seed).split('faults');
  const faults: Fault[] = [];
  let atMs = FIRST_AFTER_MS;
  while (atMs < seconds * 1_000) {
    faults.push(faultAt(Math.round(atMs), random, cast));
    atMs += GAP_MIN_MS + random.exponential(GAP_MEAN_MS);
  }
  return faults;
}

function faultAt(atMs: number, random: SeededRandom, { workers, services }: Cast): Fault {
  let share = random.fraction();
  const target = random.fraction();
  const among = (names: readonly string[]): string => names[Math.floor(target * names.length)] ?? '';
  if ((share -= WIPE_SHARE) < 0) return { atMs, do: 'wipe-bus' };
  if ((share -= STORE_SHARE) < 0) return { atMs, do: 'kill', target: 'store' };
  if ((share -= BROKER_SHARE) < 0) return { atMs, do: 'kill', target: 'nats' };
  return { atMs, do: 'kill', target: among(share - SERVICES_SHARE < 0 ? services : workers) };
}
