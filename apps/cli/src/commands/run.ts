import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PerdureError } from '@perdure/kernel';
import Table from 'cli-table3';
import { BadUsage, EXIT } from '../cli.errors';
import { FactLines } from '../fact-lines';
import { type ControlVerb, type EffectsLeft, GatewayClient, type RunView } from '../gateway-client';
import { ago, clip, columns, duration, note, pc, say, status } from '../paint';
import { extensionOf, limitsOf, spendingLines } from './run-limits';
import { readStackState } from '../stack/data-dir';

export interface CommonOptions {
  readonly url?: string;
  readonly tenant?: string;
  readonly json?: boolean;
}

const AWAIT_MS = 20_000;
const PATIENCE_MS = 6_000;
const RETRY_MS = 200;
const LINES = [
  'top',
  'top-mid',
  'top-left',
  'top-right',
  'bottom',
  'bottom-mid',
  'bottom-left',
  'bottom-right',
  'left',
  'left-mid',
  'mid',
  'mid-mid',
  'right',
  'right-mid',
  'middle',
];
/** Of a table without borders. */
export const NO_LINES = Object.fromEntries(LINES.map((name) => [name, '']));
export const DATA_DIR_DEFAULT = join('.perdure', 'data');

/** Where the gateway is: said, or as the stack of this directory tells. */
export function clientOf({ url, tenant }: CommonOptions): GatewayClient {
  const { PERDURE_URL } = process.env;
  // For programs that use the SDK the same variable names the bus.
  const found =
    url ??
    (PERDURE_URL?.startsWith('http') ? PERDURE_URL : undefined) ??
    readStackState(process.env.PERDURE_DATA ?? DATA_DIR_DEFAULT)?.gatewayUrl;
  if (found === undefined)
    throw new BadUsage(
      'No gateway is known. Start a stack with `./perdure dev` in this directory, or name one with --url or PERDURE_URL.',
    );
  return new GatewayClient(found, tenant);
}

export async function startRun(
  name: string,
  options: CommonOptions & {
    input?: string;
    key?: string;
    deadline?: string;
    limits?: string;
    wait?: boolean;
    by?: string;
  },
): Promise<number> {
  const client = clientOf(options);
  const limits = options.limits === undefined ? {} : { limits: limitsOf(options.limits) };
  const deadlineMs = options.deadline === undefined ? undefined : wholeNumber(options.deadline, '--deadline');
  // With a key, if need be one of our own, a start whose answer was lost is repeated and not doubled.
  const by = options.by ?? userInfo().username;
  const request = { name, input: inputOf(options.input), idempotencyKey: options.key ?? randomUUID(), by };
  const { runId, started } = await patiently(() =>
    client.start({ ...request, ...(deadlineMs === undefined ? {} : { deadlineMs }), ...limits }),
  );
  if (!options.wait) {
    if (options.json) say(JSON.stringify({ runId, started }));
    else
      say(
        `${pc.green('▸')} ${started ? 'started' : 'was started before:'} ${pc.bold(runId)}\n${pc.dim(`  ./perdure run watch ${runId}`)}`,
      );
    return EXIT.ok;
  }
  if (!options.json) note(pc.dim(`${started ? 'started' : 'found'} ${runId}, waiting for its end`));
  return showEnd(await awaitEnd(client, runId), options);
}

export async function getRun(runId: string, options: CommonOptions): Promise<number> {
  const view = await clientOf(options).get(runId);
  if (options.json) say(JSON.stringify(view));
  else showView(view);
  return EXIT.ok;
}

/** Each promise that the run waits on: who keeps it, for how long it has been open, and what would close it. */
export async function whyRun(runId: string, options: CommonOptions): Promise<number> {
  const why = await clientOf(options).why(runId);
  if (options.json) {
    say(JSON.stringify(why));
    return EXIT.ok;
  }
  const since = `since ${duration(why.atMs - why.sinceMs)}`;
  say(`${status(why.outcome?.status ?? why.status)}  ${pc.bold(why.name)} ${pc.dim(`${why.runId} ${since}`)}`);
  for (const { promise, id, keeper, ageMs, dueAtMs, detail, closedBy } of why.waitingOn) {
    say(`  ${pc.bold(promise)} ${pc.dim(id)}${detail === undefined ? '' : ` ${detail}`}`);
    const due = dueAtMs === undefined ? '' : `, due ${new Date(dueAtMs).toISOString()}`;
    say(`    ${pc.dim('kept by')} ${keeper}${pc.dim(`, open for ${duration(ageMs)}${due}`)}`);
    if (closedBy !== undefined) say(`    ${pc.dim('closed when')} ${closedBy}`);
  }
  return EXIT.ok;
}

export async function listRuns(options: CommonOptions & { status?: string; limit?: string }): Promise<number> {
  const limit = options.limit === undefined ? undefined : wholeNumber(options.limit, '--limit');
  const list = await clientOf(options).list({
    ...(options.status === undefined ? {} : { status: options.status }),
    ...(limit === undefined ? {} : { limit }),
  });
  if (options.json) {
    say(JSON.stringify(list));
    return EXIT.ok;
  }
  if (!list.complete) note(pc.yellow('The gateway is still reading the log: the list is not complete yet.'));
  if (list.runs.length === 0) {
    say(pc.dim("No runs. Start one: ./perdure run start <name> --input '{…}'"));
    return EXIT.ok;
  }
  const head = ['run', 'name', 'status', 'requested', 'took', 'worker'].map((title) => pc.dim(title));
  // Colours are ours alone: the table's own would go to files and pipes too.
  const table = new Table({ head, chars: NO_LINES, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 3 } });
  for (const run of list.runs) {
    const took = ['queued', 'active', 'suspended', 'paused'].includes(run.status)
      ? ''
      : duration(run.changedAtMs - run.requestedAtMs);
    table.push([run.runId, clip(run.name, 28), status(run.status), ago(run.requestedAtMs), took, run.workerId ?? '']);
  }
  say(table.toString());
  return EXIT.ok;
}

export async function showEvents(runId: string, options: CommonOptions & { from?: string; limit?: string }): Promise<number> {
  const client = clientOf(options);
  const lines = new FactLines();
  const wanted = options.limit === undefined ? Infinity : wholeNumber(options.limit, '--limit');
  let shown = 0;
  let from: number | undefined = options.from === undefined ? 0 : wholeNumber(options.from, '--from');
  while (from !== undefined && shown < wanted) {
    const page = await client.events(runId, { from, limit: Math.min(500, wanted - shown) });
    for (const fact of page.facts) say(options.json ? JSON.stringify(fact) : lines.line(fact));
    shown += page.facts.length;
    from = page.next;
  }
  return EXIT.ok;
}

export async function watchRun(runId: string, options: CommonOptions & { from?: string }): Promise<number> {
  const client = clientOf(options);
  const lines = new FactLines();
  for await (const fact of client.follow(runId, options.from === undefined ? 0 : wholeNumber(options.from, '--from'))) {
    say(options.json ? JSON.stringify(fact) : lines.line(fact));
  }
  const view = await client.get(runId);
  return view.outcome?.status === 'completed' ? EXIT.ok : EXIT.failed;
}

const ASKED: Readonly<Record<ControlVerb, string>> = {
  pause: `${pc.magenta('‖')} asked to pause`,
  resume: `${pc.green('▸')} resumed`,
  cancel: `${pc.yellow('⊘')} asked to end`,
  terminate: `${pc.red('⊗')} terminated`,
};

export async function controlRun(
  verb: ControlVerb,
  runId: string,
  options: CommonOptions & { reason?: string; extend?: string },
): Promise<number> {
  const { reason, extend } = options;
  const client = clientOf(options);
  if (extend === undefined) await client.control(runId, verb, reason);
  else await client.extend(runId, extensionOf(extend), reason);
  say(options.json ? JSON.stringify({ runId, asked: verb }) : `${ASKED[verb]}: ${pc.bold(runId)}`);
  return EXIT.ok;
}

export async function listAgents(options: CommonOptions): Promise<number> {
  const { agents } = await clientOf(options).agents();
  if (options.json) say(JSON.stringify({ agents }));
  else if (agents.length === 0)
    say(pc.dim('No worker has registered anything. Start a stack with workers: ./perdure dev --entry FILE'));
  else
    for (const agent of agents)
      say(
        `${pc.bold(agent.name)} ${pc.dim(agent.kind)}${agent.tools.length === 0 ? '' : pc.dim(`  tools: ${agent.tools.join(', ')}`)}`,
      );
  return EXIT.ok;
}

export async function awaitEnd(client: GatewayClient, runId: string): Promise<RunView> {
  for (;;) {
    const view = await patiently(() => client.result(runId, AWAIT_MS));
    if (view.status === 'ended') return view;
  }
}

/** Services that die are back within seconds: what may be tried again is tried again for that long. */
async function patiently<T>(ask: () => Promise<T>): Promise<T> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await ask();
    } catch (thrown) {
      if (!(thrown instanceof PerdureError) || thrown.reaction !== 'retryable' || performance.now() > until) throw thrown;
    }
    await sleep(RETRY_MS);
  }
}

function showEnd(view: RunView, options: CommonOptions): number {
  if (options.json) say(JSON.stringify(view));
  else if (view.outcome?.status === 'completed') {
    note(`${status('completed')} ${pc.dim(`in ${duration((view.endedAtMs ?? 0) - view.requestedAtMs)}`)}`);
    say(typeof view.outcome.output === 'string' ? view.outcome.output : JSON.stringify(view.outcome.output, undefined, 2));
  } else showView(view);
  return view.outcome?.status === 'completed' ? EXIT.ok : EXIT.failed;
}

function showView(view: RunView): void {
  const row = (label: string, value: string): void => say(`  ${pc.dim(label.padEnd(11))} ${value}`);
  say(`${status(view.outcome?.status ?? view.status)}  ${pc.bold(view.name)} ${pc.dim(`${view.kind} ${view.runId}`)}`);
  row('requested', ago(view.requestedAtMs));
  if (view.endedAtMs !== undefined) row('took', duration(view.endedAtMs - view.requestedAtMs));
  row('facts', String(view.revision + 1));
  for (const line of spendingLines(view)) row('used', line);
  if (view.workerId !== undefined) row('worker', `${view.workerId} (epoch ${view.epoch})`);
  if (view.buildId !== undefined) row('build', view.buildId);
  if (view.cancelRequested && !view.outcome) row('cancel', 'requested');
  if (view.pauseRequested === true) row('pause', 'requested: what is under way is finished first');
  if (view.pausedBecause !== undefined) row('paused', pc.magenta(view.pausedBecause));
  if (view.unreadSignals !== undefined) row('unread', `${view.unreadSignals} signals`);
  for (const wait of view.waitingOn)
    row(
      'waits on',
      `${wait.promise} ${pc.dim(`${wait.id}, kept by ${wait.keeper}, since ${ago(wait.sinceMs)}`)}${wait.detail === undefined ? '' : ` ${wait.detail}`}`,
    );
  if (view.ending) row('ending', `as ${view.ending.outcome}: ${view.ending.undone} undone, ${view.ending.left} left`);
  if (view.outcome) showOutcome(view.outcome, row);
  if (view.effects) showEffects(view.effects, row);
}

function showEffects(effects: EffectsLeft, row: (label: string, value: string) => void): void {
  for (const { call, what } of effects.undone) row('undone', pc.green(`${what} ${call}`));
  for (const { call, what, why } of effects.notUndone) row('not undone', pc.red(`${what} ${call}: ${why}`));
  for (const { call, what } of effects.unknown) row('unknown', pc.magenta(`${what} ${call}: nobody knows whether it happened`));
  for (const { call, what } of effects.stays) row('stays', `${what} ${pc.dim(call)}`);
  if (effects.staysBeyond !== undefined) row('stay', `${effects.staysBeyond} more, which are older`);
}

function showOutcome(outcome: NonNullable<RunView['outcome']>, row: (label: string, value: string) => void): void {
  const width = columns() - 16;
  switch (outcome.status) {
    case 'completed':
      return row('output', clip(typeof outcome.output === 'string' ? outcome.output : JSON.stringify(outcome.output), width * 4));
    case 'failed':
      return row('error', pc.red(`${outcome.error.code}: ${outcome.error.message}`));
    case 'cancelled':
      return row('reason', outcome.reason);
    case 'terminated':
      row('reason', pc.red(outcome.reason));
      for (const { call, what } of outcome.leftOpen) row('left open', `${what} ${pc.dim(call)}`);
      return;
    case 'timed-out':
      return row('deadline', new Date(outcome.deadlineAtMs).toISOString());
    case 'refused':
      return row('reason', pc.red(`${outcome.code}: ${outcome.message}`));
  }
}

function inputOf(given: string | undefined): unknown {
  return given === undefined ? {} : jsonOf(given, '--input');
}

export function jsonOf(given: string, option: string): unknown {
  const source = given.startsWith('@') ? readInput(given.slice(1), option) : given;
  try {
    return JSON.parse(source) as unknown;
  } catch (thrown) {
    throw new BadUsage(`${option} is not JSON (${(thrown as Error).message}). Give JSON text, @FILE, or @- for standard input.`);
  }
}

function readInput(file: string, option: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (thrown) {
    throw new BadUsage(`${option} @${file} cannot be read: ${(thrown as Error).message}.`);
  }
}

export function wholeNumber(given: string, option: string): number {
  if (/^\d{1,15}$/.test(given)) return Number(given);
  throw new BadUsage(`${option} wants a whole number; got "${given}".`);
}
