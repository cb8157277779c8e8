import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Retryable } from '@perdure/kernel';
import { BadUsage, EXIT } from '../cli.errors';
import { evidenceOf, type Evidence, type LedgerLine } from '../demo-evidence';
import { FactLines } from '../fact-lines';
import { GatewayClient, type Fact, type RunView } from '../gateway-client';
import { columns, duration, note, pc, say, status, wrap } from '../paint';
import { isAlive } from '../stack/proc';
import { ROOT, SAMPLE_ENTRY } from '../stack/programs';
import { ChildDidNotStart } from '../stack/stack.errors';
import { startStack, type Stack } from '../stack/stack';
import { fromHere, untilSignal } from './dev';

export interface DemoOptions {
  readonly path?: string;
  readonly json?: boolean;
  readonly keep?: boolean;
}

/** Slow enough to watch, and for the kill to land in the middle of the work. */
const PACE_MS = 200;
/** Leaves room for set-up and end within the minute that the demo promises. */
const RUN_LIMIT_MS = 45_000;
const GRACE_MS = 3_000;

interface Story {
  readonly facts: Fact[];
  killed?: { readonly worker: string; readonly pid: number; readonly atMs: number; readonly confirmed: number };
}

class Stage {
  private readonly lines = new FactLines();
  private intended: Fact[] = [];

  constructor(private readonly silent: boolean) {}

  say(line = ''): void {
    this.flush();
    if (!this.silent) say(line);
  }

  /** Intentions come in crowds: one line for a crowd. */
  fact(fact: Fact): void {
    if (fact.type === 'ModelCallIntended') return;
    if (fact.type === 'EffectIntended') {
      this.lines.line(fact);
      this.intended.push(fact);
      return;
    }
    this.say(this.lines.line(fact));
  }

  private flush(): void {
    const crowd = this.intended;
    this.intended = [];
    const [first] = crowd;
    if (!first || this.silent) return;
    if (crowd.length === 1) say(this.lines.line(first));
    else
      say(
        `${' '.repeat(9)} ${pc.dim(`#${first.revision}`.padStart(5))}  ${pc.dim(`→ ${crowd.length} × ${String(first.data.tool)}, each recorded before it runs`)}`,
      );
  }
}

export async function demo(options: DemoOptions): Promise<number> {
  const path = resolve(options.path ?? ROOT);
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw new BadUsage(`--path ${path} is not a directory.`);
  const dataDir = mkdtempSync(join(tmpdir(), 'perdure-demo-'));
  let keep = options.keep === true;
  try {
    return await perform({ path, dataDir, json: options.json === true });
  } catch (thrown) {
    // Its message names a log in there.
    keep ||= thrown instanceof ChildDidNotStart;
    throw thrown;
  } finally {
    if (keep) note(pc.dim(`data and logs are kept in ${dataDir}`));
    else rmSync(dataDir, { recursive: true, force: true });
  }
}

interface Scene {
  readonly path: string;
  readonly dataDir: string;
  readonly json: boolean;
}

async function perform({ path, dataDir, json }: Scene): Promise<number> {
  const startedAtMs = performance.now();
  const stage = new Stage(json);
  const report = join(ROOT, '.perdure', 'audit-report.md');
  const ledger = join(dataDir, 'executions.jsonl');
  mkdirSync(dirname(report), { recursive: true });
  stage.say(`\n${pc.bold('Perdure')} ${pc.dim('· an agent audits')} ${path}${pc.dim(', and loses its worker on the way')}\n`);
  const signal = untilSignal();
  const workerEnv = { PERDURE_AUDIT_LEDGER: ledger, PERDURE_AUDIT_PACE_MS: String(PACE_MS) };
  const stack = await startStack({ form: 'dev', dataDir, entry: SAMPLE_ENTRY, workers: 2, workerEnv });
  const children = stack.children();
  const what = pc.dim(`broker, event store, services and 2 workers: ${children.length} processes on loopback`);
  stage.say(`  ${pc.green('●')} up in ${duration(performance.now() - startedAtMs)} ${what}\n`);
  try {
    const told = await Promise.race([play(stack, { path, report }, stage), signal]);
    if (typeof told === 'string') return EXIT.interrupted;
    const { facts, killed } = told.story;
    const evidence = evidenceOf({ facts, ledger: readLedger(ledger), killedAtMs: killed?.atMs ?? 0 });
    await stack.stop();
    const leftOver = children.filter(isAlive).length;
    const completed = told.view.outcome?.status === 'completed';
    const ok = completed && evidence.effects.doubled === 0 && killed !== undefined && leftOver === 0;
    const ending = { ...told, evidence, report, ok, leftOver, tookMs: performance.now() - startedAtMs };
    if (json) say(JSON.stringify(lineOf(ending)));
    else showEnding(ending, stage);
    return ok ? EXIT.ok : EXIT.failed;
  } finally {
    await stack.stop();
  }
}

async function play(
  stack: Stack,
  { path, report }: { readonly path: string; readonly report: string },
  stage: Stage,
): Promise<{ story: Story; view: RunView }> {
  const client = new GatewayClient(stack.gatewayUrl);
  const { runId } = await client.start({ name: 'audit', input: { path, report }, deadlineMs: RUN_LIMIT_MS });
  stage.say(`  ${pc.dim('run')} ${pc.bold(runId)}\n`);
  const story: Story = { facts: [] };
  let limit: NodeJS.Timeout | undefined;
  const outOfTime = new Promise<never>((_, reject) => {
    const late = new Retryable(
      'DemoTimedOut',
      'The run has not ended in time: this machine may be too busy. With --keep the logs stay in the data directory.',
    );
    limit = setTimeout(() => reject(late), RUN_LIMIT_MS + GRACE_MS);
  });
  const follow = async (): Promise<void> => {
    for await (const fact of client.follow(runId)) {
      story.facts.push(fact);
      stage.fact(fact);
      killInTheMiddle(stack, story, stage);
    }
  };
  try {
    await Promise.race([follow(), outOfTime]);
  } finally {
    clearTimeout(limit);
  }
  return { story, view: await client.get(runId) };
}

/** When a third of the parts are confirmed in the log, and others are under way. */
function killInTheMiddle(stack: Stack, story: Story, stage: Stage): void {
  if (story.killed) return;
  const parts = story.facts.findLast(({ type, data }) => type === 'ModelCallCompleted' && partsDecided(data) > 0);
  if (!parts) return;
  const planned = partsDecided(parts.data);
  const intended = story.facts
    .filter(({ type, data }) => type === 'EffectIntended' && data.tool === 'inspect_part')
    .map(({ data }) => data.call);
  const confirmed = story.facts.filter(({ type, data }) => type === 'EffectConfirmed' && intended.includes(data.call)).length;
  if (intended.length < planned || confirmed < Math.min(Math.ceil(planned / 3), planned - 1)) return;
  const worker = String(story.facts.findLast(({ type }) => type === 'RunAssigned')?.data.workerId);
  const atMs = Date.now();
  const pid = stack.kill(worker, { restart: false });
  story.killed = { worker, pid, atMs, confirmed };
  stage.say(
    `\n  ${pc.bgRed(pc.white(pc.bold(' kill -9 ')))} ${pc.red(pc.bold(`${worker}`))} ${pc.dim(`pid ${pid}, in the middle of its work: ${confirmed} of ${planned} parts are confirmed in the log`)}\n`,
  );
}

function partsDecided(data: Fact['data']): number {
  const { toolCalls = [] } = (data.decision ?? {}) as { readonly toolCalls?: readonly { readonly tool: string }[] };
  return toolCalls.filter(({ tool }) => tool === 'inspect_part').length;
}

function readLedger(path: string): readonly LedgerLine[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LedgerLine);
}

interface Ending {
  readonly story: Story;
  readonly view: RunView;
  readonly evidence: Evidence;
  readonly report: string;
  readonly ok: boolean;
  readonly leftOver: number;
  readonly tookMs: number;
}

function lineOf({ story, view, evidence, report, ok, leftOver, tookMs }: Ending): object {
  const workers = story.facts.filter(({ type }) => type === 'RunAssigned').map(({ data }) => data.workerId);
  return {
    ok,
    runId: view.runId,
    outcome: view.outcome?.status,
    killed: story.killed?.worker ?? null,
    workers,
    ...evidence,
    executedTwice: evidence.effects.doubled,
    processesLeft: leftOver,
    report,
    seconds: Number((tookMs / 1_000).toFixed(1)),
  };
}

const LABEL = 22;

function showEnding({ story, view, evidence, report, ok, leftOver, tookMs }: Ending, stage: Stage): void {
  const row = (label: string, value: string): void => stage.say(`  ${pc.dim(label.padEnd(LABEL))} ${value}`);
  const ms = (value: number | undefined): string => (value === undefined ? pc.red('never') : pc.bold(duration(value)));
  const next = story.facts.filter(({ type }) => type === 'RunAssigned').at(-1)?.data.workerId;
  const facts = Object.entries(evidence.facts).map(([type, count]) => `${type} ${count}`);
  stage.say(`\n  ${pc.bold(status(view.outcome?.status ?? view.status))} ${wrap(outcomeText(view), columns() - 16, 14)}\n`);
  row('worker killed', `${story.killed?.worker ?? pc.red('none')} ${pc.dim('→ went on in')} ${String(next)}`);
  row('kill → activation', `${ms(evidence.killToActivationMs)} ${pc.dim('in the other worker, under the next epoch')}`);
  row('kill → first new fact', ms(evidence.killToProgressMs));
  for (const [label, value] of effectRows(evidence)) row(label, value);
  row('facts in the log', wrap(facts.join(' · '), columns() - LABEL - 4, LABEL + 3));
  row('report', pc.cyan(fromHere(report)));
  row('left running', mark(leftOver === 0, leftOver === 0 ? 'nothing' : `${leftOver} processes`));
  const verdict = ok
    ? pc.green(pc.bold('Nothing was lost, nothing was done twice.'))
    : pc.red(pc.bold('This is not as it should be.'));
  stage.say(`\n  ${verdict} ${pc.dim(`${duration(tookMs)} in all. Next: ./perdure dev`)}\n`);
}

function effectRows({ effects }: Evidence): readonly (readonly [string, string])[] {
  const saved = pc.dim(`(${effects.savedFromBefore} confirmed before the kill: never touched again)`);
  return [
    ['effects', `${effects.total} ${pc.dim('in all, counted by the tools themselves')}`],
    ['', mark(true, `${effects.once} executed exactly once ${saved}`)],
    ['', mark(true, `${effects.cutOff} cut off by the kill and begun again ${pc.dim('(nothing of them was confirmed)')}`)],
    ['', mark(effects.doubled === 0, `${effects.doubled} executed again after their result was confirmed`)],
  ];
}

function mark(good: boolean, text: string): string {
  return good ? `${pc.green('✓')} ${text}` : `${pc.red('✗')} ${text}`;
}

function outcomeText({ outcome }: RunView): string {
  if (outcome?.status === 'completed')
    return typeof outcome.output === 'string' ? outcome.output : JSON.stringify(outcome.output);
  return outcome?.status === 'failed' ? `${outcome.error.code}: ${outcome.error.message}` : '';
}
