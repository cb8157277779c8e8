import { join, relative } from 'node:path';
import { EXIT } from '../cli.errors';
import { duration, note, pc, say } from '../paint';
import { GATEWAY_PORT_DEFAULT, preferPort, requirePort } from '../stack/ports';
import { SAMPLE_ENTRY } from '../stack/programs';
import { startStack, type Stack, type StackEvent } from '../stack/stack';
import { wholeNumber } from './run';

export interface DevOptions {
  readonly data: string;
  readonly port?: string;
  readonly isolated?: boolean;
  /** Each gets workers of its own: the builds of today and of yesterday. */
  readonly entry?: readonly string[];
  readonly workers: string;
}

/** The stack, until somebody ends it. */
export async function dev(options: DevOptions): Promise<number> {
  const startedAtMs = performance.now();
  const gatewayPort =
    options.port === undefined || options.port === '0'
      ? await preferPort(options.port === '0' ? 0 : GATEWAY_PORT_DEFAULT)
      : await requirePort(Number(options.port));
  const workers = wholeNumber(options.workers, '--workers');
  const [entry, ...others] = options.entry ?? [];
  let up = false;
  const ended = untilSignal();
  const stack = await startStack({
    form: options.isolated ? 'isolated' : 'dev',
    dataDir: options.data,
    entry: entry ?? SAMPLE_ENTRY,
    workers,
    gatewayPort,
    onEvent: (event) => {
      if (up) tell(event);
    },
  });
  for (const other of others) for (let count = 0; count < workers; count += 1) await stack.addWorker(other);
  up = true;
  introduce(stack, { sample: options.entry === undefined, data: options.data, tookMs: performance.now() - startedAtMs });
  await ended;
  up = false;
  note(pc.dim('\nstopping …'));
  const impatient = (): void => {
    stack.stopNow();
    process.exit(EXIT.interrupted);
  };
  process.on('SIGINT', impatient);
  await stack.stop();
  note(pc.dim('stopped. The data is kept; the next start goes on from it.'));
  return EXIT.ok;
}

export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve(signal));
  });
}

function introduce(
  stack: Stack,
  { sample, data, tookMs }: { readonly sample: boolean; readonly data: string; readonly tookMs: number },
): void {
  const row = (label: string, value: string): void => say(`  ${pc.dim(label.padEnd(9))} ${value}`);
  say(
    `\n${pc.bold(pc.green('perdure'))} is up ${pc.dim(`in ${duration(tookMs)}, ${stack.form === 'dev' ? 'all services in one process' : 'a process for each service'}`)}\n`,
  );
  row('gateway', pc.cyan(stack.gatewayUrl));
  row('API', pc.dim(`${stack.gatewayUrl}/openapi.json`));
  row('bus', pc.dim(stack.natsUrl));
  row('clients', `${pc.dim('PERDURE_NATS_URL=')}${stack.clientUrl}`);
  row('log', `${pc.dim(stack.storeUrl)} ${pc.dim('(embedded event store: for one machine)')}`);
  row('data', fromHere(stack.dataDir));
  row('logs', join(fromHere(stack.logDir), '*.log'));
  row(
    'processes',
    stack
      .children()
      .map(({ name, pid }) => `${name} ${pc.dim(String(pid))}`)
      .join('  '),
  );
  const where = data === '.perdure/data' ? '' : ` --url ${stack.gatewayUrl}`;
  const worker = stack.children().find(({ name }) => name.startsWith('worker-'));
  say(`\n  ${pc.bold('try')}`);
  say(`    ./perdure run start audit --input '{"path":"."}' --wait${where}`.replace('audit', sample ? 'audit' : '<name>'));
  say(`    ./perdure run list${where}`);
  if (worker) say(`    kill -9 ${worker.pid}   ${pc.dim('and watch the run go on: ./perdure run watch <runId>')}`);
  say(`\n  ${pc.dim('Ctrl-C ends everything; the data stays.')}\n`);
}

/** Short when it lies below, whole when it lies elsewhere. */
export function fromHere(path: string): string {
  const short = relative(process.cwd(), path);
  return short === '' ? '.' : short.startsWith('..') ? path : short;
}

function tell(event: StackEvent): void {
  const time = pc.dim(new Date().toISOString().slice(11, 19));
  if (event.type === 'died')
    note(
      `${time} ${pc.red('✗')} ${event.name} ${pc.dim(String(event.pid))} ended (${event.by})${event.again ? ', starting it again' : ''}`,
    );
  else if (event.type === 'started')
    note(
      `${time} ${pc.green('●')} ${event.name} ${pc.dim(String(event.pid))} is ready${event.restarts > 0 ? pc.dim(`, restart ${event.restarts}`) : ''}`,
    );
  else note(`${time} ${pc.yellow('!')} JetStream has switched itself off (is the disk full?): restarting the broker`);
}
