// The wall clock of a time zone.
//
// A wall time is written as the instant at which a clock in UTC shows the same.
//
// 1. A wall time that is skipped stands for the first moment after the gap.
// 2. A wall time that comes twice stands for the first of the two.
// 3. So a later wall time never stands for an earlier instant.

const SECOND_MS = 1_000;
const DAY_MS = 24 * 60 * 60 * SECOND_MS;
/** Zones that are kept: an installation uses few, and each formatter is some 100 KB. */
const ZONES_MAX = 200;
/** Offsets of hours that are kept: those around the times of many schedules, some 100 bytes each. */
const OFFSETS_MAX = 5_000;
const HOUR_MS = 60 * 60 * SECOND_MS;

const FORMAT = {
  calendar: 'gregory',
  numberingSystem: 'latn',
  hourCycle: 'h23',
  era: 'short',
  year: 'numeric',
  month: 'numeric',
  day: 'numeric',
  hour: 'numeric',
  minute: 'numeric',
  second: 'numeric',
} as const;

export class Zone {
  private readonly format: Intl.DateTimeFormat;
  private readonly ofHours = new Map<number, number>();

  /** @throws RangeError when there is no such zone */
  constructor(readonly name: string) {
    this.format = new Intl.DateTimeFormat('en-US', { ...FORMAT, timeZone: name });
  }

  wallAt(instantMs: number): number {
    return instantMs + this.offsetAt(instantMs);
  }

  instantOf(wallMs: number): number {
    // A day before and a day after lie outside of whatever happens to the clocks at this time.
    const before = this.offsetAt(wallMs - DAY_MS);
    const after = this.offsetAt(wallMs + DAY_MS);
    const found = [wallMs - before, wallMs - after].filter((instant) => this.wallAt(instant) === wallMs);
    return found.length > 0 ? Math.min(...found) : this.endOfGap(wallMs - after, wallMs - before);
  }

  /** The first instant that is shown as a wall time not before what is skipped. */
  private endOfGap(beforeMs: number, afterMs: number): number {
    const old = this.offsetAt(beforeMs);
    return firstWhere(beforeMs, afterMs, (instant) => this.offsetAt(instant) !== old);
  }

  private offsetAt(instantMs: number): number {
    // Within an hour of the clock nearly always nothing changes: two looks tell.
    const hour = Math.floor(instantMs / HOUR_MS);
    const from = this.offsetOfHour(hour);
    return from === this.offsetOfHour(hour + 1) ? from : this.readOffset(instantMs);
  }

  private offsetOfHour(hour: number): number {
    const known = this.ofHours.get(hour);
    if (known !== undefined) return known;
    if (this.ofHours.size >= OFFSETS_MAX) this.ofHours.clear();
    const offset = this.readOffset(hour * HOUR_MS);
    this.ofHours.set(hour, offset);
    return offset;
  }

  private readOffset(instantMs: number): number {
    const second = Math.floor(instantMs / SECOND_MS) * SECOND_MS;
    const shown: Record<string, number> = {};
    let isBeforeChrist = false;
    for (const { type, value } of this.format.formatToParts(second)) {
      if (type === 'era') isBeforeChrist = value.startsWith('B');
      else shown[type] = Number(value);
    }
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second: seconds = 0 } = shown;
    return Date.UTC(isBeforeChrist ? 1 - year : year, month - 1, day, hour, minute, seconds) - second;
  }
}

/** The first whole millisecond in (`fromMs`, `toMs`] for which it is true, if it is true of the last and stays so. */
export function firstWhere(fromMs: number, toMs: number, isTrue: (instantMs: number) => boolean): number {
  let [no, yes] = [fromMs, toMs];
  while (yes - no > 1) {
    const middle = Math.floor((no + yes) / 2);
    if (isTrue(middle)) yes = middle;
    else no = middle;
  }
  return yes;
}

const zones = new Map<string, Zone>();

/** @throws RangeError when there is no such zone */
export function zoneOf(name: string): Zone {
  const known = zones.get(name);
  if (known !== undefined) return known;
  if (zones.size >= ZONES_MAX) zones.clear();
  const zone = new Zone(name);
  zones.set(name, zone);
  return zone;
}
