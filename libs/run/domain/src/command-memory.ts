import { COMMAND_IDS_KEPT, COMMAND_IDS_KEPT_MS } from './bounds';
import type { OpenRun } from './run.state';

/** Milliseconds since the epoch, from the first 48 bits of a UUID of version 7. */
export function commandTimeMs(commandId: string): number {
  return Number.parseInt(commandId.slice(0, 8) + commandId.slice(9, 13), 16);
}

/** Adds an id; forgets one only if it is both beyond the number kept and beyond the age kept. */
export function rememberCommand(run: OpenRun, commandId: string): OpenRun {
  // One command may lead to several facts that name it.
  if (run.commands.at(-1)?.id === commandId) return run;
  const atMs = commandTimeMs(commandId);
  const commands = [...run.commands, { id: commandId, atMs }];
  const oldest = commands[0];
  if (commands.length <= COMMAND_IDS_KEPT || oldest === undefined || oldest.atMs > atMs - COMMAND_IDS_KEPT_MS) {
    return { ...run, commands };
  }
  const commandsForgottenUpToMs = Math.max(run.commandsForgottenUpToMs, oldest.atMs);
  return { ...run, commands: commands.slice(1), commandsForgottenUpToMs };
}

export type CommandMemory = 'new' | 'repeated' | 'expired';

export function recallCommand(run: OpenRun, commandId: string): CommandMemory {
  if (run.commands.some((known) => known.id === commandId)) return 'repeated';
  return commandTimeMs(commandId) <= run.commandsForgottenUpToMs ? 'expired' : 'new';
}
