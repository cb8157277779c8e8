import { Cron } from 'croner';
import { firstWhere, type Zone } from './zone';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** Patterns that are kept: those of the schedules of an installation that are due often. */
const PATTERNS_MAX = 5_000;

const FIELDS_OF_FIVE = ['minute', 'hour', 'day of month', 'month', 'day of week'] as const;
const FIELDS = ['second', ...FIELDS_OF_FIVE] as const;
const NAMES: ReadonlySet<string> = new Set(['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']);

export interface CronProblem {
  readonly message: string;
  readonly field?: string;
  /** Of the first character that is wrong, from 0. */
  readonly position: number;
}

/** croner without its zones: on a wall clock that neither skips nor repeats anything. */
const WALL = { utcOffset: 0, paused: true } as const;

/** What is wrong with an expression, and where. */
export function cronProblem(expression: string): CronProblem | undefined {
  if (expression.startsWith('@')) {
    if (NAMES.has(expression.toLowerCase())) return undefined;
    return { message: `There is no ${expression}; there are ${[...NAMES].join(', ')}.`, position: 0 };
  }
  const words = [...expression.matchAll(/\S+/g)];
  if (words.length !== FIELDS_OF_FIVE.length && words.length !== FIELDS.length)
    return {
      message: `It has ${words.length} fields; write ${FIELDS_OF_FIVE.join(', ')}, with seconds before them if you want.`,
      position: 0,
    };
  const names = words.length === FIELDS.length ? FIELDS : FIELDS_OF_FIVE;
  for (const [index, word] of words.entries()) {
    const alone = names.map((_, other) => (other === index ? word[0] : '*')).join(' ');
    const message = refusalOf(alone);
    if (message !== undefined) return { message, field: names[index] ?? '', position: word.index };
  }
  const whole = refusalOf(expression);
  return whole === undefined ? undefined : { message: whole, position: 0 };
}

function refusalOf(expression: string): string | undefined {
  try {
    new Cron(expression, WALL);
    return undefined;
  } catch (error) {
    return String((error as Error).message).replace(/^Cron\w*: /, '');
  }
}

export class CronPattern {
  private readonly cron: Cron;
  readonly hasSeconds: boolean;
  /** Every time of a day is meant, or none. */
  readonly isOfDays: boolean;

  constructor(expression: string) {
    this.cron = new Cron(expression, WALL);
    const words = expression.trim().split(/\s+/);
    this.hasSeconds = words.length === FIELDS.length;
    const ofTime = words.slice(0, this.hasSeconds ? 3 : 2);
    this.isOfDays = words.length > 1 && ofTime.every((word) => word === '*');
  }

  /** The first instant after `afterMs` for which a wall time of the pattern stands. */
  next(zone: Zone, afterMs: number): number | undefined {
    const shown = zone.wallAt(afterMs);
    const found = this.standsFor(zone, this.nextWall(shown));
    if (found === undefined || found > afterMs) return found;
    // These hours were shown before: what they stand for has been.
    const repeatedUntil = firstWhere(shown, shown + DAY_MS, (wall) => zone.instantOf(wall) > afterMs);
    return this.standsFor(zone, this.nextWall(repeatedUntil - 1));
  }

  matches(zone: Zone, instantMs: number): boolean {
    const wall = zone.wallAt(instantMs);
    return this.cron.match(new Date(this.hasSeconds ? wall : Math.floor(wall / MINUTE_MS) * MINUTE_MS));
  }

  private standsFor(zone: Zone, wallMs: number | undefined): number | undefined {
    return wallMs === undefined ? undefined : zone.instantOf(wallMs);
  }

  private nextWall(afterMs: number): number | undefined {
    return this.cron.nextRun(new Date(afterMs))?.getTime();
  }
}

const patterns = new Map<string, CronPattern>();

export function patternOf(expression: string): CronPattern {
  const known = patterns.get(expression);
  if (known !== undefined) return known;
  if (patterns.size >= PATTERNS_MAX) patterns.clear();
  const pattern = new CronPattern(expression);
  patterns.set(expression, pattern);
  return pattern;
}
