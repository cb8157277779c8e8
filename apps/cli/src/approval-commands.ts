import type { Command } from 'commander';

interface Making {
  readonly withGateway: (command: Command) => Command;
  readonly act: (action: (...args: never[]) => Promise<number>) => (...args: unknown[]) => Promise<void>;
}

const approvals = () => require('./commands/approvals') as typeof import('./commands/approvals');
const approvers = () => require('./commands/approvers') as typeof import('./commands/approvers');

const ADMINISTRATOR = [
  '--administrator <file>',
  'the secret of the administrator (else PERDURE_ADMINISTRATOR_SECRET, else that of the stack of this directory)',
] as const;

export function addApprovalCommands(program: Command, making: Making): void {
  addInbox(program.command('approvals').description('effects that wait for the agreement of persons'), making);
  addApprovers(program.command('approvers').description('who may decide on approvals'), making);
  addPolicies(program.command('policies').description('which effects need an approval, and whose'), making);
}

function addInbox(group: Command, { withGateway, act }: Making): void {
  withGateway(group.command('list').description('those that wait, over all runs; oldest first'))
    .option('--status <status>', 'open, granted, denied, expired, ended or all', 'open')
    .option('--role <role>', 'only what this role may decide on')
    .option('--limit <n>', 'at most so many')
    .action(act((options: object) => approvals().listApprovals(options)));
  withGateway(group.command('show <runId> <call>').description('one of them, with its arguments')).action(
    act((runId: string, call: string, options: object) => approvals().showApproval(runId, call, options)),
  );
  for (const [verb, what] of [
    ['approve', 'agree to an effect as it is intended'],
    ['deny', 'refuse an effect: it fails, and the agent is told why'],
    ['edit', 'agree to an effect with other arguments'],
  ] as const) {
    const command = withGateway(group.command(`${verb} <runId> <call>`).description(what))
      .option('--as <name>', 'who decides (else PERDURE_APPROVER); the secret is read from PERDURE_APPROVER_SECRET')
      .option('--key <file>', 'sign with a private key of your own instead')
      .option('--shown <hash>', 'what was looked at, as `show` names it: refused if something else is asked for by now')
      .option('--reason <text>', 'recorded with it');
    if (verb === 'edit') command.requiredOption('--args <json>', 'the arguments, JSON text, @file, or @- for standard input');
    command.action(act((runId: string, call: string, options: object) => approvals().decide(verb, { runId, call }, options)));
  }
}

function addApprovers(group: Command, { withGateway, act }: Making): void {
  withGateway(group.command('list').description('who is enrolled')).action(
    act((options: object) => approvers().listApprovers(options)),
  );
  withGateway(group.command('enroll <name>').description('enrol a person, or change its roles; prints its secret once'))
    .option('--role <role...>', 'what it may decide as')
    .option('--key <file>', 'its private key, made if it is not there: only its public half leaves this machine')
    .option(...ADMINISTRATOR)
    .action(act((name: string, options: object) => approvers().enroll(name, options)));
  withGateway(group.command('revoke <name>').description('from now on it may not decide any more'))
    .option(...ADMINISTRATOR)
    .action(act((name: string, options: object) => approvers().revoke(name, options)));
}

function addPolicies(group: Command, { withGateway, act }: Making): void {
  withGateway(group.command('list').description('those in force')).action(
    act((options: object) => approvers().listPolicies(options)),
  );
  withGateway(group.command('set').description('set a policy, or replace the one of its name'))
    .requiredOption('--policy <json>', 'JSON text, @file, or @- for standard input')
    .option(...ADMINISTRATOR)
    .action(act((options: object) => approvers().setPolicy(options)));
  withGateway(group.command('remove <name>').description('what was asked for under it stays under it'))
    .option(...ADMINISTRATOR)
    .action(act((name: string, options: object) => approvers().removePolicy(name, options)));
}
