import { PerdureError } from '@perdure/kernel';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { addApprovalCommands } from './approval-commands';
import { EXIT, exitCodeOf } from './cli.errors';
import { addControlCommands } from './control-commands';
import { addDeadLetterCommands } from './dead-letter-commands';
import { addTaskCommands } from './task-commands';
import { pc } from './paint';
import { addScheduleCommands } from './schedule-commands';

type Act = (...args: never[]) => Promise<number>;

/** Each command is loaded when it is used: a start must not pay for what it does not do. */
const run = () => require('./commands/run') as typeof import('./commands/run');
const tokens = () => require('./commands/tokens') as typeof import('./commands/tokens');
const deploy = () => require('./commands/deploy') as typeof import('./commands/deploy');
const effects = () => require('./commands/effects') as typeof import('./commands/effects');
const builds = () => require('./commands/builds') as typeof import('./commands/builds');
const elsewhere = () => require('./commands/elsewhere') as typeof import('./commands/elsewhere');
const dev = () => require('./commands/dev') as typeof import('./commands/dev');
const demo = () => require('./commands/demo') as typeof import('./commands/demo');
const storeUser = () => require('./commands/store-user') as typeof import('./commands/store-user');
const store = () => require('./commands/store') as typeof import('./commands/store');
const transfer = () => require('./commands/store-transfer') as typeof import('./commands/store-transfer');

function positive(value: string): string {
  if (!/^\d+$/.test(value)) throw new InvalidArgumentError('a whole number is wanted');
  return value;
}

const act =
  (action: Act) =>
  async (...args: unknown[]): Promise<void> => {
    process.exitCode = await action(...(args as never[]));
  };

function withGateway(command: Command): Command {
  return command
    .option('--url <url>', 'the gateway (else PERDURE_URL, else the stack of this directory)')
    .option('--tenant <name>', 'tenant', 'default')
    .option('--json', 'for machines');
}

function addRunCommands(program: Command): void {
  const group = program.command('run').description('start and look after runs');
  withGateway(group.command('start <name>').description('start a run of an agent or workflow'))
    .option('--input <json>', 'JSON text, @file, or @- for standard input')
    .option('--wait', 'wait for the end: prints the output, exit code 1 unless it completed')
    .option('--key <key>', 'idempotency key: the same key again finds the first run')
    .option('--deadline <ms>', 'limit of the whole run in milliseconds')
    .option('--by <name>', 'who asks for it (default: you)')
    .option('--limits <list>', "instead of its author's: turns=50,tool-calls=100,tokens=200000,cost=1.50,on-limit=pause|fail")
    .action(act((name: string, options: object) => run().startRun(name, options)));
  withGateway(group.command('get <runId>').description('how a run stands, and what it waits for')).action(
    act((id: string, options: object) => run().getRun(id, options)),
  );
  withGateway(
    group.command('why <runId>').description('what a run waits on: who keeps it, since when, what would close it'),
  ).action(act((id: string, options: object) => run().whyRun(id, options)));
  withGateway(group.command('list').description('open and recent runs, newest first'))
    .option(
      '--status <status>',
      'queued, active, suspended, paused, completed, failed, cancelled, timed-out, terminated or refused',
    )
    .option('--limit <n>', 'at most so many')
    .action(act((options: object) => run().listRuns(options)));
  withGateway(group.command('events <runId>').description('the facts of a run, from the log'))
    .option('--from <revision>', 'the first that is wanted')
    .option('--limit <n>', 'at most so many')
    .action(act((id: string, options: object) => run().showEvents(id, options)));
  withGateway(group.command('watch <runId>').description('the facts of a run as they are made, until it ends'))
    .option('--from <revision>', 'the first that is wanted')
    .action(act((id: string, options: object) => run().watchRun(id, options)));
  withGateway(group.command('tokens <runId>').description('the text of its model calls as it comes, until it ends'))
    .option('--after <id>', 'go on after the event with this id, as --json tells it')
    .action(act((id: string, options: object) => tokens().showTokens(id, options)));
  for (const [verb, what] of [
    ['pause', 'hold a run: what is under way is finished, nothing new begins'],
    ['resume', 'end the pause of a run'],
    ['cancel', 'ask a run to end'],
    ['terminate', 'end a run at once, whatever is under way'],
  ] as const) {
    const command = withGateway(group.command(`${verb} <runId>`).description(what)).option('--reason <text>', 'recorded with it');
    if (verb === 'resume')
      command.option(
        '--extend <list>',
        'of a limit that is used up, so much more: turns=50,tool-calls=50,tokens=100000,cost=1.50',
      );
    command.action(act((id: string, options: object) => run().controlRun(verb, id, options)));
  }
  addControlCommands(group, { act, withGateway });
  withGateway(program.command('agents').description('what the workers have registered')).action(
    act((options: object) => run().listAgents(options)),
  );
}

function addBuildCommands(program: Command): void {
  const group = program.command('builds').description('versions of the code of agents and workflows');
  withGateway(
    group.command('list').description('their live workers, the live runs pinned to them, and which are drained'),
  ).action(act((options: object) => builds().listBuilds(options)));
  const deploying = program.command('deploy').description('before a new build is deployed');
  withGateway(
    deploying
      .command('check <entry>')
      .description('try a build on every live run, doing nothing: which would not go on as they do (exit code 1)'),
  )
    .option('--export <file>', 'runs that `deploy export` has written, instead of those of a gateway')
    .option('--budget <duration>', 'how long it may take: 60s, 500ms, 2m', '60s')
    .action(act((entry: string, options: object) => deploy().checkDeploy(entry, options)));
  withGateway(deploying.command('export').description('all live runs as lines of JSON, to check builds against elsewhere'))
    .option('--to <file>', 'a file, or - for standard output', '-')
    .action(act((options: never) => deploy().exportDeploy(options)));
  const run = program.commands.find((command) => command.name() === 'run') as Command;
  withGateway(run.command('repin <runId>').description('let another build go on with a workflow'))
    .requiredOption('--build <id>', 'a registered build that hosts it: see `perdure builds list`')
    .option('--reason <text>', 'recorded with it')
    .action(act((runId: string, options: never) => builds().repinRun(runId, options)));
}

function addEffectCommands(program: Command): void {
  const group = program.command('effects').description('effects of which nobody knows whether they happened');
  withGateway(group.command('list').description('those that wait for an answer, over all runs; oldest first'))
    .option('--limit <n>', 'at most so many')
    .action(act((options: object) => effects().listEffects(options)));
  withGateway(group.command('resolve <runId> <call>').description('say what became of one; its run goes on'))
    .requiredOption('--as <what>', 'happened, absent (it may run again) or failed')
    .option('--result <json>', 'with happened: what the tool would have returned')
    .option('--reason <text>', 'recorded with it')
    .option('--by <name>', 'who says so (default: you)')
    .action(act((runId: string, call: string, options: object) => effects().resolveEffect(runId, call, options)));
}

function addStackCommands(program: Command): void {
  program
    .command('dev')
    .description('bring up the whole stack on this machine, and keep it up')
    .option('--data <dir>', 'where everything is kept', '.perdure/data')
    .option('--port <n>', 'of the gateway (default 7610, or any free one)', positive)
    .option('--isolated', 'a process for each service')
    .option(
      '--entry <file...>',
      'your agents, workflows and tools, .js or .ts; each file gets a worker of its own, for each pool that it has something for (default: the audit sample); an older build beside the new one, too',
    )
    .option('--workers <n>', 'worker processes', positive, '1')
    .action(act((options: never) => dev().dev(options)));
  program
    .command('demo')
    .description('kill a worker in the middle of a run, and see the run go on')
    .option('--path <dir>', 'directory or git repository to audit (default: this one)')
    .option('--json', 'one line for machines')
    .option('--keep', 'keep the data directory')
    .action(act((options: never) => demo().demo(options)));
  const group = program.command('store').description('the embedded event store');
  group
    .command('serve')
    .description('run it alone, in the foreground')
    .requiredOption('--data <dir>', 'where the log is kept')
    .option('--port <n>', '0 = any free one', positive, '0')
    .option(
      '--host <address>',
      'where it listens (default 127.0.0.1); elsewhere than on this machine with credentials and TLS only',
    )
    .option('--tls-cert <file>', 'certificate with its chain, in PEM form; read again at SIGHUP')
    .option('--tls-key <file>', 'its key, in PEM form')
    .option('--credentials <file>', 'who may log in (`store user` writes it); without, everybody may do everything')
    .action(act((options: never) => store().serveStore(options)));
  group
    .command('user')
    .description('set the password of a login, which is read from standard input, or disable or remove a login')
    .requiredOption('--credentials <file>', 'made when it does not exist')
    .requiredOption('--login <name>')
    .option('--group <names...>', '$admins may do everything, $ops sees the metrics; others are for access lists')
    .option('--disable', 'nobody logs in with it any more; setting a password enables it again')
    .option('--remove', 'forget it')
    .action(act((options: never) => storeUser().storeUser(options)));
  const ofFolder = (name: string, what: string): Command =>
    group
      .command(name)
      .description(what)
      .requiredOption('--data <dir>', 'where the log is kept')
      .option('--json', 'for machines');
  ofFolder('info', 'what is in a data folder').action(act((options: never) => store().infoStore(options)));
  ofFolder('verify', 'read every record of a log, also while it is served').action(
    act((options: never) => store().verifyStore(options)),
  );
  ofFolder('backup', 'copy a log, also while it is served; again into the same folder copies what is new')
    .requiredOption('--to <dir>', 'where the backup is kept')
    .action(act((options: never) => store().backupStore(options)));
  group
    .command('scavenge')
    .description('give back the room of events that nobody can see any more')
    .option('--data <dir>', 'a folder that is not served')
    .option('--server <url>', 'a running server: esdb://…')
    .option('--json', 'for machines')
    .action(act((options: never) => store().scavengeStore(options)));
  ofFolder('restore', 'make a new data folder of a backup')
    .requiredOption('--from <dir>', 'a folder that `store backup` made')
    .action(act((options: never) => store().restoreStore(options)));
  addTransferCommands(group);
}

function addTransferCommands(group: Command): void {
  group
    .command('export')
    .description('every event of a log as lines of JSON: of a server, or of a data folder')
    .requiredOption('--from <source>', 'a connection string (esdb://…), or a data folder, which may be served')
    .option('--to <file>', 'a file, or - for standard output', '-')
    .option('--json', 'the summary for machines, on standard error')
    .action(act((options: never) => transfer().exportStore(options)));
  group
    .command('import')
    .description('append an export to a server; again after an interruption it goes on')
    .requiredOption('--into <server>', 'a connection string (esdb://…)')
    .option('--from <file>', 'a file, or - for standard input', '-')
    .option('--fill', 'hidden events stand for revisions that were scavenged in the source')
    .option('--verify', 'read the target back and compare every stream')
    .option('--json', 'for machines')
    .action(act((options: never) => transfer().importStore(options)));
}

/** What they take is read where they are: here it is only named, for the help. */
function addProofCommands(program: Command): void {
  const bench = program
    .command('bench <load>')
    .description(
      'measure a load on a fresh stack: w1 (steps), w2 (runs), w3 (sleeps), w4 (signals), w5 (death of a worker), w6 (children), w7 (memory of sleepers), w8 (long runs), store (the event store alone)',
    )
    .option('--runs <n>', 'runs', positive)
    .option('--steps <n>', 'steps a run; w8: facts, or results, of the longest run (default 10,000)', positive)
    .option('--concurrency <n>', 'runs at once', positive)
    .option('--pure', 'steps of class pure, under output commit')
    .option('--second-worker', 'w5: another worker instead of a restart')
    .option('--seconds <n>', 'store: how long each figure is measured; w3: how long a run sleeps', positive)
    .option('--overdue', 'w3: how runs that were to wake during an outage are released, and what that costs others')
    .option('--rounds <n>', 'store: figures are medians of so many', positive)
    .option('--memory', 'store: only what a large log costs; takes minutes')
    .option('--events <n>', 'store --memory: events in the log (default 1,000,000)', positive)
    .option('--streams <n>', 'store --memory: streams in the log (default a tenth)', positive)
    .option('--isolated', 'a process for each service');
  const chaos = program
    .command('chaos')
    .description('kill processes at random under load, and check that nothing is lost or doubled')
    .option(
      '--scenario <name>',
      'runs: the whole stack; store: the event store alone; payments: effects that must not be doubled; deploy: a breaking change under live runs; timers: runs that wait',
      'runs',
    )
    .option('--payments <n>', 'payments: how many', positive)
    .option('--points', 'payments: end a process at each moment of a payment, instead of at random')
    .option('--runs <n>', 'deploy: agents, and as many workflows; timers: runs that wait', positive)
    .option('--seconds <n>', 'how long', positive)
    .option('--seed <n>', 'which chances', positive)
    .option('--isolated', 'a process for each service');
  const simulate = program
    .command('simulate')
    .description('the real services on virtual time, with seeded faults and an independent oracle')
    .option('--seeds <n>', 'how many', positive)
    .option('--seed <n>', 'one certain seed', positive)
    .option('--mutants', 'plant faults, and count those that are found');
  for (const [command, name] of [
    [bench, 'bench'],
    [chaos, 'chaos'],
    [simulate, 'simulate'],
  ] as const) {
    command
      .option('--json', 'one line for machines')
      .allowUnknownOption()
      .allowExcessArguments()
      .action(act(() => elsewhere().runElsewhere(name, process.argv.slice(3))));
  }
}

function report(thrown: unknown): number {
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
  const json = process.argv.includes('--json');
  if (thrown instanceof PerdureError) {
    if (json) process.stdout.write(`${JSON.stringify({ error: thrown.toRecord() })}\n`);
    else process.stderr.write(`${pc.red(pc.bold(thrown.code))}  ${thrown.message}\n`);
  } else process.stderr.write(`${pc.red('unexpected error')}  ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
  return exitCodeOf(thrown);
}

async function main(): Promise<void> {
  const program = new Command('perdure')
    .description('Durable runs of agents and workflows.')
    .exitOverride()
    .showHelpAfterError('(--help says more)')
    .version('0.1.0');
  program.configureOutput({ outputError: (text, write) => write(pc.red(text)) });
  addStackCommands(program);
  addRunCommands(program);
  addBuildCommands(program);
  addEffectCommands(program);
  addApprovalCommands(program, { withGateway, act });
  addDeadLetterCommands(program, { withGateway, act });
  addTaskCommands(program, { withGateway, act });
  addScheduleCommands(program, { withGateway, act });
  addProofCommands(program);
  try {
    await program.parseAsync(process.argv);
  } catch (thrown) {
    process.exitCode = report(thrown);
  }
}

void main();
