import type { Command } from 'commander';
import type { CommandKit } from './dead-letter-commands';

const tasks = () => require('./commands/tasks') as typeof import('./commands/tasks');

export function addTaskCommands(program: Command, { withGateway, act }: CommandKit): void {
  const group = program.command('task').description('what runs ask of persons');
  withGateway(group.command('list').description('what waits, over all runs; oldest first'))
    .option('--status <status>', 'open, answered, expired, ended or all', 'open')
    .option('--assignee <who...>', 'only what one of these may answer: user:mia, role:finance')
    .option('--after <place>', 'go on after the page before: its `next`')
    .option('--limit <n>', 'at most so many')
    .action(act((options: object) => tasks().listTasks(options)));
  withGateway(group.command('show <runId> <call>').description('one of them, with the form of its answer')).action(
    act((runId: string, call: string, options: object) => tasks().showTask(runId, call, options)),
  );
  withGateway(
    group.command('answer <runId> <call> <answer>').description('the answer: JSON text, @file, or @- for standard input'),
  )
    .option('--as <name>', 'who answers (default: you)')
    .option('--asked <revision>', 'what was looked at, as `show` names it: refused if something else is asked by now')
    .action(
      act((runId: string, call: string, answer: string, options: object) => tasks().answerTask({ runId, call }, answer, options)),
    );
  withGateway(group.command('delegate <runId> <call> <to>').description('let somebody else answer as well: user:leo, role:legal'))
    .option('--as <name>', 'who says so (default: you)')
    .option('--reason <text>', 'recorded with it')
    .action(
      act((runId: string, call: string, to: string, options: object) => tasks().delegateTask({ runId, call }, to, options)),
    );
}
