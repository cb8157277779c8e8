import type { Command } from 'commander';
import type { Lent } from './control-commands';

const schedules = () => require('./commands/schedule') as typeof import('./commands/schedule');
const changes = () => require('./commands/schedule-change') as typeof import('./commands/schedule-change');

const BY = ['--by <name>', 'who says so (default: you)'] as const;
const NOTE = ['--note <text>', 'recorded with it'] as const;
const OVERLAPS = 'skip, buffer-one, buffer-all, cancel-other or allow-all';

export function addScheduleCommands(program: Command, lent: Lent): void {
  const group = program.command('schedule').description('runs that are started by the calendar');
  addLooks(group, lent);
  addDefinitions(group, lent);
  addControl(group, lent);
}

function addLooks(group: Command, { withGateway, act }: Lent): void {
  withGateway(group.command('list').description('those of the tenant, in the order of their ids'))
    .option('--after <id>', 'those after this one')
    .option('--limit <n>', 'at most so many')
    .action(act((options: object) => schedules().listSchedules(options)));
  withGateway(
    group.command('get <id>').description('how a schedule stands: next times, what is under way, what was last'),
  ).action(act((id: string, options: object) => schedules().getSchedule(id, options)));
  withGateway(group.command('next <id>').description('its next times'))
    .option('--limit <n>', 'at most so many (default 10)')
    .action(act((id: string, options: object) => schedules().nextTimes(id, options)));
  withGateway(group.command('history <id>').description('what has become of its times, newest first'))
    .option('--limit <n>', 'at most so many (default 20)')
    .action(act((id: string, options: object) => schedules().showHistory(id, options)));
}

function addDefinitions(group: Command, { withGateway, act }: Lent): void {
  const defined = (command: Command): Command =>
    withGateway(command)
      .option('--start <name>', 'the agent or workflow that it starts')
      .option('--input <json>', 'of each run: JSON text, @file, or @- for standard input')
      .option('--cron <expression...>', 'times by the wall clock of the zone: "0 9 * * 1-5", or @daily')
      .option('--every <duration...>', 'times in even distances: 30s, 5m, 2h; 1h+15m is a quarter past each hour, UTC')
      .option('--at <time...>', 'single times: 2026-12-24T18:00:00Z')
      .option('--time-zone <name>', 'of its cron expressions and dates, such as Europe/Berlin (default UTC)')
      .option('--except <date...>', 'days of the zone on which nothing fires: 2026-12-24')
      .option('--except-cron <expression...>', 'times at which nothing fires')
      .option('--from <time>', 'nothing fires before')
      .option('--until <time>', 'nothing fires after')
      .option('--overlap <policy>', `when another run of it is under way: ${OVERLAPS} (default skip)`)
      .option('--jitter <duration>', 'each firing is late by a part of this')
      .option('--catch-up <duration>', 'how late a time that was missed still fires (default 1h)')
      .option('--max <n>', 'after so many firings it is finished')
      .option('--pause-after-failures <n>', 'after so many runs in a row that did not complete it is paused')
      .option('--deadline <duration>', 'limit of each run')
      .option('--limits <list>', 'of each run: turns=50,tool-calls=100,tokens=200000,cost=1.50,on-limit=pause|fail')
      .option('--kind <kind>', 'agent or workflow, where both have that name')
      .option('--pool <name>', 'of the workers')
      .option('--spec <json>', 'all of it as JSON; the other options go before what it says')
      .option(...BY);
  defined(group.command('create <id>').description('make a schedule; the same again changes nothing')).action(
    act((id: string, options: object) => changes().createSchedule(id, options)),
  );
  defined(group.command('update <id>').description('change what a schedule says; what is not named stays'))
    .option(...NOTE)
    .action(act((id: string, options: object) => changes().updateSchedule(id, options)));
}

function addControl(group: Command, { withGateway, act }: Lent): void {
  for (const [verb, what] of [
    ['pause', 'times while it is paused are none; what is under way goes on'],
    ['resume', 'its times count again, from now on'],
    ['delete', 'it starts nothing any more; what is under way goes on'],
  ] as const)
    withGateway(group.command(`${verb} <id>`).description(what))
      .option(...NOTE)
      .option(...BY)
      .action(act((id: string, options: object) => changes().controlSchedule(verb, id, options)));
  withGateway(group.command('trigger <id>').description('start a run now, whatever its times are'))
    .option('--overlap <policy>', `${OVERLAPS} (default allow-all)`)
    .option('--id <uuid>', 'a UUID of version 7: the same id again is the same request')
    .option(...BY)
    .action(act((id: string, options: object) => changes().triggerSchedule(id, options)));
  withGateway(group.command('backfill <id>').description('start the runs of its times in the past, again'))
    .requiredOption('--from <time>', 'the first: 2026-01-01T00:00:00Z')
    .requiredOption('--to <time>', 'the last')
    .option('--overlap <policy>', `${OVERLAPS} (default buffer-all: one after another)`)
    .option('--id <uuid>', 'a UUID of version 7: the same id again is the same request')
    .option(...BY)
    .action(act((id: string, options: never) => changes().backfillSchedule(id, options)));
}
