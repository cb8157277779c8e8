import type { Command } from 'commander';

type Act = (...args: never[]) => Promise<number>;

/** What the program lends to a group of commands. */
export interface Lent {
  act(action: Act): (...args: unknown[]) => Promise<void>;
  withGateway(command: Command): Command;
}

const branch = () => require('./commands/branch') as typeof import('./commands/branch');
const bulk = () => require('./commands/bulk') as typeof import('./commands/bulk');
const signal = () => require('./commands/signal') as typeof import('./commands/signal');

/** What a person tells a run, and what becomes of its past. */
export function addControlCommands(runs: Command, { act, withGateway }: Lent): void {
  withGateway(runs.command('signal <runId> <name>').description('send a run a signal: its code, or its model, is told'))
    .option('--payload <json>', 'JSON text, @file, or @- for standard input')
    .option('--id <uuid>', 'a UUID of version 7: the same id again is the same signal, and arrives once')
    .action(act((runId: string, name: string, options: object) => signal().signalRun(runId, name, options)));
  withGateway(runs.command('state <runId>').description('the folded state of a run, as it is or as it was'))
    .option('--at <revision>', 'as it was after this revision')
    .option('--from <item>', 'the first journal item (default: the newest page)')
    .option('--limit <n>', 'journal items shown')
    .action(act((runId: string, options: object) => branch().showState(runId, options)));
  withGateway(runs.command('fork <runId>').description('start another run as a copy of this one, which may have ended'))
    .option('--at <revision>', 'the last that is copied (default: before the decision that ended the run)')
    .option('--input <json>', 'another input: JSON text, @file, or @-; of a workflow only before its first call')
    .option('--build <id>', 'pinned to this build (default: any that hosts it)')
    .option('--model <id>', 'of an agent: another model, of those that it is declared with')
    .option('--key <key>', 'idempotency key: the same key again finds the first fork')
    .action(act((runId: string, options: object) => branch().forkRun(runId, options)));
  withGateway(runs.command('rewind <runId>').description('go back; what was done outside since stays done, and is listed'))
    .option('--to <revision>', 'the last that still holds')
    .option('--turn <n>', 'of an agent: ask its model for this turn again')
    .option('--dry-run', 'only say what was done outside since')
    .option('--reason <text>', 'recorded with it')
    .action(act((runId: string, options: object) => branch().rewindRun(runId, options)));
  withGateway(runs.command('bulk <verb>').description('pause, resume, cancel, terminate or signal all open runs that fit'))
    .requiredOption('--filter <list>', 'status=…,name=…,older-than=30s|5m|2h|1d')
    .option('--signal <name>', 'with the verb signal: which')
    .option('--payload <json>', 'with the verb signal: JSON text, @file, or @-')
    .option('--reason <text>', 'recorded with it')
    .option('--limit <n>', 'at most so many runs')
    .option('--id <uuid>', 'of an earlier one: what it has done is not done again')
    .option('--dry-run', 'only say which runs are meant')
    .action(act((verb: string, options: never) => bulk().bulkRuns(verb, options)));
}
