import { EXIT } from '../cli.errors';
import { duration, note, pc, say, status } from '../paint';
import { firingText, instant, scheduleLineText, standing, whenText } from '../schedule-lines';
import { SchedulesClient } from '../schedules-client';
import { clientOf, wholeNumber, type CommonOptions } from './run';

/** Looking at schedules. */

export async function listSchedules(options: CommonOptions & { after?: string; limit?: string }): Promise<number> {
  const { after } = options;
  const limit = options.limit === undefined ? {} : { limit: wholeNumber(options.limit, '--limit') };
  const list = await schedulesOf(options).list({ ...(after === undefined ? {} : { after }), ...limit });
  if (options.json) {
    say(JSON.stringify(list));
    return EXIT.ok;
  }
  if (list.schedules.length + list.unanswered.length === 0)
    say(pc.dim("No schedules. Create one: ./perdure schedule create <id> --start <name> --every 1h --input '{…}'"));
  for (const line of list.schedules) scheduleLineText(line).forEach((text) => say(text));
  for (const id of list.unanswered) say(`${pc.yellow('?')} ${pc.bold(id)} ${pc.dim('its owner does not answer at the moment')}`);
  if (list.next !== undefined) note(pc.dim(`There are more: --after ${list.next}`));
  return EXIT.ok;
}

export async function getSchedule(id: string, options: CommonOptions): Promise<number> {
  const view = await schedulesOf(options).get(id);
  if (options.json) {
    say(JSON.stringify(view));
    return EXIT.ok;
  }
  const { spec, paused, next, open, openCount, bufferedCount, recent, totals, remaining, backfills } = view;
  say(`${standing(view.status)}  ${pc.bold(id)} ${pc.dim(`version ${view.version}, by ${view.createdBy}`)}`);
  say(`    starts ${spec.start.name} with ${JSON.stringify(spec.start.input)}`);
  say(`    ${whenText(spec.when)} (${spec.timeZone}), overlap ${spec.overlap}, catches up ${duration(spec.catchUpMs)}`);
  if (spec.except.length > 0)
    say(`    except ${spec.except.map((one) => ('date' in one ? one.date : one.expression)).join(', ')}`);
  if (paused !== undefined)
    say(`    paused by ${paused.by} at ${instant(paused.atMs)}${paused.note === undefined ? '' : `: ${paused.note}`}`);
  if (remaining !== undefined) say(`    ${remaining} firings left`);
  for (const { nominalAtMs, dueAtMs } of next)
    say(`    ${view.status === 'paused' ? 'would be next' : 'next'} ${instant(nominalAtMs)}${late(nominalAtMs, dueAtMs)}`);
  for (const { nominalAtMs, runId, status: how } of open)
    say(`    ${pc.cyan('●')} ${instant(nominalAtMs)} ${how} ${pc.dim(runId)}`);
  if (openCount > open.length) say(pc.dim(`    … of ${openCount} under way`));
  if (bufferedCount > 0) say(`    ${bufferedCount} wait for those before them`);
  for (const { fromMs, toMs, doneUntilMs } of backfills)
    say(`    backfill ${instant(fromMs)} to ${instant(toMs)}, done until ${instant(Math.max(fromMs, doneUntilMs))}`);
  for (const { nominalAtMs, runId, result } of recent.slice(0, RECENT_SHOWN))
    say(`    ${status(result ?? 'completed')} ${instant(nominalAtMs)} ${pc.dim(runId)}`);
  const { fired, skipped, missed, completed, notCompleted } = totals;
  say(pc.dim(`    ${fired} fired, ${skipped} skipped, ${missed} missed; ${completed} completed, ${notCompleted} did not`));
  return EXIT.ok;
}

const RECENT_SHOWN = 5;

export async function nextTimes(id: string, options: CommonOptions & { limit?: string }): Promise<number> {
  const limit = options.limit === undefined ? undefined : wholeNumber(options.limit, '--limit');
  const { status: how, next } = await schedulesOf(options).next(id, limit);
  if (options.json) say(JSON.stringify({ status: how, next }));
  else {
    if (how !== 'active')
      note(pc.yellow(how === 'paused' ? 'It is paused: these are the times that it would have.' : `It is ${how}.`));
    for (const { nominalAtMs, dueAtMs } of next) say(`${instant(nominalAtMs)}${late(nominalAtMs, dueAtMs)}`);
  }
  return EXIT.ok;
}

export async function showHistory(id: string, options: CommonOptions & { limit?: string }): Promise<number> {
  const limit = options.limit === undefined ? undefined : wholeNumber(options.limit, '--limit');
  const list = await schedulesOf(options).firings(id, limit);
  if (options.json) {
    say(JSON.stringify(list));
    return EXIT.ok;
  }
  if (list.firings.length === 0) say(pc.dim('None of its times has come yet.'));
  for (const line of list.firings) say(firingText(line));
  if (!list.complete) note(pc.dim('There are older ones: --limit shows more.'));
  return EXIT.ok;
}

function late(nominalAtMs: number, dueAtMs: number): string {
  return dueAtMs === nominalAtMs ? '' : pc.dim(` + ${duration(dueAtMs - nominalAtMs)}`);
}

export function schedulesOf(options: CommonOptions): SchedulesClient {
  return new SchedulesClient(clientOf(options));
}
