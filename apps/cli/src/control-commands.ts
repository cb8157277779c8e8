import type { Command } from 'commander';

type Act = (...args: never[]) => Promise<number>;

/** What the program lends to a group of commands. */
export interface Lent {
  act(action: Act): (...args: unknown[]) => Promise<void>;
  withGateway(command: Command): Command;
}

const signal = () => require('./commands/signal') as typeof import('./commands/signal');

/** What a person tells a run. */
export function addControlCommands(runs: Command, { act, withGateway }: Lent): void {
  withGateway(runs.command('signal <runId> <name>').description('send a run a signal: its code, or its model, is told'))
    .option('--payload <json>', 'JSON text, @file, or @- for standard input')
    .option('--id <uuid>', 'a UUID of version 7: the same id again is the same signal, and arrives once')
    .action(act((runId: string, name: string, options: object) => signal().signalRun(runId, name, options)));
}
