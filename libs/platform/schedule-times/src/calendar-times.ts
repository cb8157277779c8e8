import type { ErrorRecord } from '@perdure/kernel';
import type { ExceptRule, ScheduleTimes, WhenRule, WhenSpec } from '@perdure/schedule-contract';
import { cronProblem, patternOf } from './cron-pattern';
import { zoneOf, type Zone } from './zone';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Days, or minutes, in a row that are excluded: a week of minutes, and less than a second of work. */
const EXCLUDED_MAX = 10_000;

/** Times by the zones that the runtime knows. */
export const calendarTimes: ScheduleTimes = { problemOf, next };

function problemOf({ when, timeZone, except, startAtMs, endAtMs }: WhenSpec): ErrorRecord | undefined {
  if (!isZone(timeZone))
    return refusal(
      'UnknownTimeZone',
      `There is no time zone ${timeZone}. Use a name of the IANA data base, such as Europe/Berlin.`,
      {
        timeZone,
      },
    );
  for (const rule of [...when, ...except]) {
    const problem = rule.type === 'cron' ? cronRefusal(rule.expression) : undefined;
    if (problem !== undefined) return problem;
    if (rule.type === 'date' && wallOfDate(rule.date) === undefined)
      return refusal('InvalidDate', `${rule.date} is no date. Write it as 2026-12-24.`, { date: rule.date });
  }
  if (startAtMs !== undefined && endAtMs !== undefined && endAtMs < startAtMs)
    return refusal('InvalidDate', 'It ends before it starts: the end must not be before the start.', { startAtMs, endAtMs });
  return undefined;
}

function cronRefusal(expression: string): ErrorRecord | undefined {
  const problem = cronProblem(expression);
  if (problem === undefined) return undefined;
  const { message, field, position } = problem;
  const where = field === undefined ? '' : ` in the field ${field}`;
  return refusal('InvalidCron', `${JSON.stringify(expression)} is wrong at position ${position}${where}: ${message}`, {
    expression,
    position,
    ...(field === undefined ? {} : { field }),
  });
}

function refusal(code: string, message: string, details: Readonly<Record<string, unknown>>): ErrorRecord {
  return { code, message, reaction: 'terminal', details };
}

function isZone(name: string): boolean {
  try {
    zoneOf(name);
    return true;
  } catch {
    return false;
  }
}

function next(spec: WhenSpec, afterMs: number): number | undefined {
  const zone = zoneOf(spec.timeZone);
  let after = Math.max(afterMs, (spec.startAtMs ?? 0) - 1);
  for (let excluded = 0; excluded < EXCLUDED_MAX; excluded += 1) {
    const times = spec.when.map((rule) => nextOf(rule, zone, after)).filter((time) => time !== undefined);
    if (times.length === 0) return undefined;
    const first = Math.min(...times);
    if (first > (spec.endAtMs ?? Number.MAX_SAFE_INTEGER)) return undefined;
    const until = excludedUntil(spec.except, zone, first);
    if (until === undefined) return first;
    after = until;
  }
  return undefined;
}

function nextOf(rule: WhenRule, zone: Zone, afterMs: number): number | undefined {
  switch (rule.type) {
    case 'cron':
      return patternOf(rule.expression).next(zone, afterMs);
    case 'interval': {
      const { everyMs, offsetMs } = rule;
      return (Math.floor((afterMs - offsetMs) / everyMs) + 1) * everyMs + offsetMs;
    }
    case 'at':
      return rule.atMs > afterMs ? rule.atMs : undefined;
  }
}

/** Until when nothing need be looked at, if the time is excluded. */
function excludedUntil(rules: readonly ExceptRule[], zone: Zone, timeMs: number): number | undefined {
  if (rules.length === 0) return undefined;
  const wall = zone.wallAt(timeMs);
  const day = Math.floor(wall / DAY_MS) * DAY_MS;
  const endOfDay = (): number => Math.max(timeMs, zone.instantOf(day + DAY_MS) - 1);
  for (const rule of rules) {
    if (rule.type === 'date') {
      if (wallOfDate(rule.date) === day) return endOfDay();
      continue;
    }
    const pattern = patternOf(rule.expression);
    if (!pattern.matches(zone, timeMs)) continue;
    if (pattern.isOfDays) return endOfDay();
    return pattern.hasSeconds ? timeMs : timeMs + MINUTE_MS - 1 - (wall % MINUTE_MS);
  }
  return undefined;
}

/** Midnight of it, on the wall clock. */
function wallOfDate(date: string): number | undefined {
  const wall = Date.parse(`${date}T00:00:00Z`);
  return Number.isNaN(wall) || new Date(wall).toISOString().slice(0, 10) !== date ? undefined : wall;
}
