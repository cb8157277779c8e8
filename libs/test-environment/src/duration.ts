/** A stretch of time; what is named adds up. */
export interface Duration {
  readonly milliseconds?: number;
  readonly seconds?: number;
  readonly minutes?: number;
  readonly hours?: number;
  readonly days?: number;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export function millisecondsOf({ milliseconds = 0, seconds = 0, minutes = 0, hours = 0, days = 0 }: Duration): number {
  return milliseconds + seconds * SECOND_MS + minutes * MINUTE_MS + hours * HOUR_MS + days * DAY_MS;
}
