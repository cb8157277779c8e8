import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { GatewayClient, ROOT, type Stack } from '@perdure/cli';
import { closedLoop } from '../../rig/closed-loop';
import { withFreshStack } from '../../rig/fresh-stack';
import { readRuns } from '../../rig/log';
import { insist } from '../insist';
import { judgeDeploy, type CheckSaid, type DeployVerdict, type LiveRun } from './judge-deploy';

/**
 * A breaking change is deployed under live runs while every worker is killed in turn.
 *
 * 1. The runs are brought to where they wait, before or behind the place that changes; then the check is asked.
 * 2. Half of the workflows stay pinned; an operator pins the other half to the candidate. What diverges then must be exactly
 *    what the check had named; it is pinned back and resumed.
 * 3. Nothing may fail: every run ends completed.
 */
export interface DeployOptions {
  /** Agents, and as many workflows. */
  readonly runs: number;
  readonly say: (line: string) => void;
}

export interface DeployReport extends DeployVerdict {
  readonly agents: number;
  readonly workflows: number;
  readonly check: { readonly total: number; readonly checked: number; readonly tookMs: number; readonly states: number };
  readonly kills: number;
  readonly tookMs: number;
}

const V1 = join(ROOT, 'dist/test/chaos/entries/deploy-v1.js');
const V2 = join(ROOT, 'dist/test/chaos/entries/deploy-v2.js');
const CLI = join(ROOT, 'apps/cli/dist/main.js');
const AT_ONCE = 32;
/** Until the runs may wake: time to start them, to check them, and to pin half of the workflows anew. */
const WAKE_AFTER_MS = 25_000;
const WAKE_AFTER_MS_EACH = 90;
const WORKERS = 2;
const LOOK_EVERY_MS = 500;
const KILL_EVERY_MS = 2_500;
/** After the runs may wake. */
const END_MAX_MS = 300_000;
/** Of one worker, on a machine that is busy with all the others. */
const RESTART_MAX_MS = 60_000;
const OUTPUT_BYTES_MAX = 64 * 1_024 * 1_024;

export async function deployChaos(options: DeployOptions): Promise<DeployReport> {
  const startedAtMs = performance.now();
  let failed = true;
  const form = 'dev' as const;
  return withFreshStack(
    () => ({ form, entry: V1, workers: WORKERS, keep: () => failed }),
    async ({ stack }) => {
      const report = await new Deployment(stack, options).run();
      failed = report.violations.length > 0;
      return { ...report, tookMs: Math.round(performance.now() - startedAtMs) };
    },
  );
}

class Deployment {
  private readonly http: GatewayClient;
  private untilMs = performance.now() + END_MAX_MS;
  private kills = 0;

  constructor(
    private readonly stack: Stack,
    private readonly options: DeployOptions,
  ) {
    this.http = new GatewayClient(stack.gatewayUrl);
  }

  async run(): Promise<Omit<DeployReport, 'tookMs'>> {
    const { say, runs: count } = this.options;
    const wakeAtMs = Date.now() + WAKE_AFTER_MS + 2 * count * WAKE_AFTER_MS_EACH;
    this.untilMs += wakeAtMs - Date.now();
    const live = await this.begin(wakeAtMs);
    await this.until(
      async () => (await this.http.list({ status: 'suspended', limit: 1_000 })).runs.length >= Math.min(1_000, live.length),
    );
    await this.until(async () => (await this.http.list({ status: 'active', limit: 1 })).runs.length === 0);
    say(`${live.length} runs wait; checking ${V2}`);
    const said = await this.check();
    say(
      `${said.checked} of ${said.total} checked in ${said.tookMs} ms, ${said.different.flatMap(({ runIds }) => runIds).length} named`,
    );
    const [v1] = (await this.http.builds()).builds.map(({ buildId }) => buildId);
    for (let worker = 0; worker < WORKERS; worker += 1) await this.stack.addWorker(V2);
    const v2 = (await this.http.builds()).builds.map(({ buildId }) => buildId).find((buildId) => buildId !== v1) ?? '';
    const moved = live.filter((run) => run.moved);
    await closedLoop({ count: moved.length, concurrency: AT_ONCE }, (index) => this.pin(moved[index], v2));
    say(`${moved.length} workflows are pinned to ${v2}; they wake in ${Math.round((wakeAtMs - Date.now()) / 1_000)} s`);
    if (Date.now() > wakeAtMs) throw new Error('The runs woke before all was prepared: this machine is too slow for so many.');
    let isOver = false;
    const rolling = this.roll(() => isOver);
    const mending = this.mend(moved, v1 ?? '', () => isOver);
    await this.until(async () => (await this.http.liveRuns('')).runs.length === 0);
    isOver = true;
    await Promise.all([rolling, mending]);
    const verdict = judgeDeploy({ live, said, runs: await readRuns(this.stack.storeUrl) });
    const { total, checked, tookMs } = said;
    return {
      ...verdict,
      agents: count,
      workflows: count,
      check: { total, checked, tookMs, states: said.checked - said.repeated },
      kills: this.kills,
    };
  }

  private async begin(untilMs: number): Promise<readonly LiveRun[]> {
    const live: LiveRun[] = [];
    await closedLoop({ count: 2 * this.options.runs, concurrency: AT_ONCE }, async (index) => {
      const isAgent = index % 2 === 0;
      const breaks = index % 4 < 2;
      const name = isAgent ? 'clerk' : 'shipping';
      const input = isAgent ? { tool: breaks ? 'charge' : 'lookup', untilMs } : { far: breaks, untilMs };
      const started = await this.insist(() => this.http.start({ name, input, idempotencyKey: `deploy-${index}` }));
      if (started !== undefined)
        live.push({ runId: started.runId, kind: isAgent ? 'agent' : 'workflow', breaks, moved: !isAgent && index % 8 >= 4 });
    });
    return live;
  }

  /** As a pipeline would: by the command, in a process of its own. */
  private async check(): Promise<CheckSaid & { readonly tookMs: number; readonly repeated: number }> {
    const args = [CLI, 'deploy', 'check', V2, '--json', '--budget', '5m', '--url', this.stack.gatewayUrl];
    const run = promisify(execFile)(process.execPath, args, { maxBuffer: OUTPUT_BYTES_MAX });
    const { stdout } = await run.catch((thrown: unknown) => thrown as { readonly stdout: string });
    return JSON.parse(stdout) as CheckSaid & { readonly tookMs: number; readonly repeated: number };
  }

  private async pin(run: LiveRun | undefined, buildId: string): Promise<void> {
    if (run !== undefined) await this.insist(() => this.http.repin(run.runId, buildId, 'chaos'));
  }

  /** Kills one worker after another, of both builds; the next one when it is back. */
  private async roll(isOver: () => boolean): Promise<void> {
    for (let next = 0; !isOver(); next += 1) {
      const child = this.stack.child(`worker-${(next % (2 * WORKERS)) + 1}`);
      const pid = this.stack.kill(child.name);
      this.kills += 1;
      await child.replaced(pid, RESTART_MAX_MS);
      await pause(KILL_EVERY_MS);
    }
  }

  /** An operator gives what has diverged back to the build that it began under; what kills have paused goes on. */
  private async mend(moved: readonly LiveRun[], v1: string, isOver: () => boolean): Promise<void> {
    const ids = new Set(moved.map(({ runId }) => runId));
    while (!isOver()) {
      await pause(LOOK_EVERY_MS);
      const paused = (await this.insist(() => this.http.list({ status: 'paused', limit: 1_000 })))?.runs ?? [];
      await closedLoop({ count: paused.length, concurrency: AT_ONCE }, async (index) => {
        const { runId = '' } = paused[index] ?? {};
        const because = (await this.insist(() => this.http.get(runId)))?.pausedBecause ?? '';
        if (ids.has(runId) && because.startsWith('the code diverged'))
          await this.insist(() => this.http.repin(runId, v1, 'chaos'));
        if (because !== '') await this.insist(() => this.http.control(runId, 'resume')).catch(() => undefined);
      });
    }
  }

  private async until(isSo: () => Promise<boolean>): Promise<void> {
    while (performance.now() < this.untilMs && (await this.insist(isSo)) !== true) await pause(LOOK_EVERY_MS);
  }

  private insist<T>(ask: () => Promise<T>): Promise<T | undefined> {
    return insist(() => this.untilMs, ask);
  }
}
