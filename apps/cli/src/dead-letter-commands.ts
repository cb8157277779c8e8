import type { Command } from 'commander';

const deadLetters = () => require('./commands/dead-letters') as typeof import('./commands/dead-letters');

export interface CommandKit {
  withGateway(command: Command): Command;
  act(action: (...args: never[]) => Promise<number>): (...args: unknown[]) => Promise<void>;
}

export function addDeadLetterCommands(program: Command, { withGateway, act }: CommandKit): void {
  const group = program.command('dead-letters').description('effects whose attempts are exhausted, and that wait for a person');
  withGateway(group.command('list').description('over all runs, oldest first'))
    .option('--tool <name>', 'only those of this tool')
    .option('--limit <n>', 'at most so many')
    .action(act((options: object) => deadLetters().listDeadLetters(options)));
  const saying = (command: Command): Command =>
    withGateway(command).option('--reason <text>', 'recorded with it').option('--by <name>', 'who says so (default: you)');
  saying(group.command('redrive [runId] [call]').description('have one tried again, those of a tool, or all'))
    .option('--tool <name>', 'all of this tool')
    .option('--all', 'all of them')
    .action(
      act((runId: string | undefined, call: string | undefined, options: object) =>
        deadLetters().redriveDeadLetters(runId, call, options),
      ),
    );
  saying(group.command('fail <runId> <call>').description('give one up: the code, or the model, is given the error')).action(
    act((runId: string, call: string, options: object) => deadLetters().failDeadLetter(runId, call, options)),
  );
}
