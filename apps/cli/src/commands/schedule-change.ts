import { userInfo } from 'node:os';
import type { OverlapPolicy, ScheduleChanged } from '@perdure/schedule-contract';
import { EXIT } from '../cli.errors';
import { timeOf } from '../durations';
import { pc, say } from '../paint';
import { specOf, type SpecOptions } from '../schedule-spec';
import type { Noted } from '../schedules-client';
import type { CommonOptions } from './run';
import { schedulesOf } from './schedule';

/** Making schedules, and telling them what to do. */

interface Said extends CommonOptions {
  readonly by?: string;
  readonly note?: string;
}

interface Asked extends Said {
  readonly overlap?: string;
  readonly id?: string;
}

export async function createSchedule(id: string, options: Said & SpecOptions): Promise<number> {
  const changed = await schedulesOf(options).create(id, specOf(options), byOf(options));
  return tell(changed, options, `${pc.green('▸')} ${pc.bold(id)} is scheduled\n${pc.dim(`  ./perdure schedule next ${id}`)}`);
}

/** What was read is what is changed: who has changed it in the meantime is not overruled. */
export async function updateSchedule(id: string, options: Said & SpecOptions): Promise<number> {
  const client = schedulesOf(options);
  const { spec, version } = await client.get(id, 0);
  const changed = await client.update(id, specOf(options, spec), { ...notedIn(options), version });
  return tell(changed, options, `${pc.green('▸')} ${pc.bold(id)} is at version ${changed.version}`);
}

const DONE = {
  pause: `${pc.magenta('‖')} paused`,
  resume: `${pc.green('▸')} resumed`,
  delete: `${pc.gray('⊘')} deleted`,
} as const;

export async function controlSchedule(verb: 'pause' | 'resume' | 'delete', id: string, options: Said): Promise<number> {
  const changed = await schedulesOf(options).control(verb, id, notedIn(options));
  return tell(changed, options, `${DONE[verb]} ${pc.bold(id)}`);
}

export async function triggerSchedule(id: string, options: Asked): Promise<number> {
  const changed = await schedulesOf(options).trigger(id, askedIn(options));
  const { runId } = changed;
  const text =
    runId === undefined
      ? `${pc.yellow('–')} it waits, or was skipped: ./perdure schedule history ${id}`
      : `${pc.green('▸')} started ${pc.bold(runId)}\n${pc.dim(`  ./perdure run watch ${runId}`)}`;
  return tell(changed, options, text);
}

export async function backfillSchedule(id: string, options: Asked & { from: string; to: string }): Promise<number> {
  const times = { fromMs: timeOf(options.from, '--from'), toMs: timeOf(options.to, '--to') };
  const changed = await schedulesOf(options).backfill(id, { ...askedIn(options), ...times });
  return tell(changed, options, `${pc.green('↻')} its times are made up for\n${pc.dim(`  ./perdure schedule history ${id}`)}`);
}

function tell(changed: ScheduleChanged, { json }: CommonOptions, text: string): number {
  say(json ? JSON.stringify(changed) : text);
  return EXIT.ok;
}

function byOf({ by }: Said): string {
  return by ?? userInfo().username;
}

function notedIn(options: Said): Noted {
  return { by: byOf(options), ...(options.note === undefined ? {} : { note: options.note }) };
}

function askedIn(options: Asked) {
  const { overlap, id } = options;
  return {
    by: byOf(options),
    ...(overlap === undefined ? {} : { overlap: overlap as OverlapPolicy }),
    ...(id === undefined ? {} : { id }),
  };
}
