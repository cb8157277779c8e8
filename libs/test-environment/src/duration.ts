import { Terminal } from '@perdure/kernel';

/** A stretch of time; what is named adds up. */
export interface Stretch {
  readonly milliseconds?: number;
  readonly seconds?: number;
  readonly minutes?: number;
  readonly hours?: number;
  readonly days?: number;
}

/** Named, or in words such as `30 days` or `1 hour 30 minutes`. */
export type Duration = Stretch | string;

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
/** A month is none of them: which one would have to be said. A year has 365 days. */
const UNITS: ReadonlyMap<string, number> = new Map([
  ['millisecond', 1],
  ['second', SECOND_MS],
  ['minute', MINUTE_MS],
  ['hour', HOUR_MS],
  ['day', DAY_MS],
  ['week', 7 * DAY_MS],
  ['year', 365 * DAY_MS],
]);
const TERM = /(\d+(?:\.\d+)?)\s*([a-z]+?)s?(?![a-z])/gi;
const TERMS = /^\s*(?:\d+(?:\.\d+)?\s*[a-z]+[\s,]*)+$/i;

/** @throws Terminal `InvalidDuration` */
export function millisecondsOf(duration: Duration): number {
  const totalMs = typeof duration === 'string' ? sumOf(duration) : sumOfNamed(duration);
  if (Number.isFinite(totalMs) && totalMs >= 0) return totalMs;
  const examples = `Give { days: 30 }, or words such as "30 days" or "1 hour 30 minutes"`;
  throw new Terminal('InvalidDuration', `${JSON.stringify(duration)} is not a duration. ${examples}; a month is none.`);
}

function sumOfNamed({ milliseconds = 0, seconds = 0, minutes = 0, hours = 0, days = 0 }: Stretch): number {
  return milliseconds + seconds * SECOND_MS + minutes * MINUTE_MS + hours * HOUR_MS + days * DAY_MS;
}

function sumOf(text: string): number {
  if (!TERMS.test(text)) return Number.NaN;
  const terms = [...text.matchAll(TERM)];
  return terms.reduce((sum, [, count, unit = '']) => sum + Number(count) * (UNITS.get(unit.toLowerCase()) ?? Number.NaN), 0);
}
