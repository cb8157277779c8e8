import type { FiringLine, ScheduleLine, ScheduleView } from '@perdure/schedule-contract';
import { duration, pc, status } from './paint';

type When = ScheduleView['spec']['when'][number];

const STANDING: Readonly<Record<ScheduleView['status'], string>> = {
  active: pc.cyan('● active'),
  paused: pc.magenta('‖ paused'),
  finished: pc.green('✓ finished'),
  deleted: pc.gray('⊘ deleted'),
};

export function standing(name: ScheduleView['status']): string {
  return STANDING[name];
}

export function whenText(rules: readonly When[]): string {
  return rules.map(ruleText).join(', ');
}

function ruleText(rule: When): string {
  if (rule.type === 'cron') return rule.expression;
  if (rule.type === 'at') return `at ${instant(rule.atMs)}`;
  return `every ${duration(rule.everyMs)}${rule.offsetMs === 0 ? '' : ` + ${duration(rule.offsetMs)}`}`;
}

/** To the second, unless there is more to say. */
export function instant(atMs: number): string {
  return new Date(atMs).toISOString().replace('.000Z', 'Z');
}

export function scheduleLineText(line: ScheduleLine): readonly string[] {
  const { scheduleId, name, status: how, when, timeZone, nextAtMs, openCount, totals } = line;
  const next = nextAtMs === undefined ? 'no time left' : `next ${instant(nextAtMs)}`;
  return [
    `${standing(how)}  ${pc.bold(scheduleId)} ${pc.dim(`starts ${name}: ${whenText(when)} (${timeZone})`)}`,
    `    ${next}; ${openCount} under way; ${totals.fired} fired, ${totals.skipped} skipped, ${totals.missed} missed`,
  ];
}

export function firingText(line: FiringLine): string {
  const { nominalAtMs, cause, runId, error, missed } = line;
  const why = cause.by === 'times' ? '' : pc.dim(` ${cause.by === 'backfill' ? 'backfill' : 'asked for'}`);
  const run = runId === undefined ? '' : ` ${pc.dim(runId)}`;
  const what =
    missed === undefined ? '' : ` ${missed.count}${missed.isAtLeast ? ' or more' : ''} until ${instant(missed.untilMs)}`;
  const problem = error === undefined ? '' : ` ${pc.red(error.code)} ${error.message}`;
  return `  ${instant(nominalAtMs)}  ${outcome(line)}${what}${why}${run}${problem}`;
}

function outcome({ status: how, result, skipped, atMs, endedAtMs }: FiringLine): string {
  if (how === 'skipped') return pc.gray(`– skipped (${skipped ?? 'overlap'})`);
  if (how === 'missed') return pc.yellow('– missed');
  if (how === 'ended') return `${status(result ?? 'completed')} ${pc.dim(`after ${duration((endedAtMs ?? atMs) - atMs)}`)}`;
  return pc.cyan(`● ${how}`);
}
