import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { ROOT, type Stack } from '@perdure/cli';
import { PerdureError } from '@perdure/kernel';
import { Client } from '@perdure/sdk';
import { SeededRandom } from '@perdure/testing';
import { closedLoop } from '../../rig/closed-loop';
import { withFreshStack } from '../../rig/fresh-stack';
import { readRuns } from '../../rig/log';
import { SERVICES, WORKERS } from '../cast';
import { insist } from '../insist';
import { scheduleOf } from '../schedule';
import { torment, type Damage } from '../torment';
import { judgeTimers, type TimersVerdict } from './judge-timers';

export interface TimersOptions {
  readonly runs: number;
  readonly seconds: number;
  readonly seed: number;
  readonly isolated: boolean;
  readonly say: (line: string) => void;
}

export interface TimersReport extends TimersVerdict {
  readonly form: 'dev' | 'isolated';
  readonly seed: number;
  readonly runs: number;
  readonly kills: Readonly<Record<string, number>>;
  readonly quarantinesEnded: number;
  readonly tookMs: number;
}

const ENTRY = join(ROOT, 'dist/test/chaos/entries/timers.js');
/** Asleep at the same time. */
const AT_ONCE = 500;
const LOOK_EVERY_MS = 1_000;
const WAITS_MAX = 5;
const WAIT_MS_MAX = 6_000;
/** After the last fault. */
const SETTLE_MAX_MS = 120_000;
const HOWS = ['sleep', 'until', 'signal', 'race'] as const;

/** Runs that wait, by thousands, while every process of the system is killed; what fired and when is read in the log. */
export async function timersChaos({ runs, seconds, seed, isolated, say }: TimersOptions): Promise<TimersReport> {
  const form = isolated ? 'isolated' : 'dev';
  const faults = scheduleOf({ seed, seconds, cast: { workers: WORKERS, services: SERVICES[form] } });
  say(`seed ${seed}, ${form}, ${runs} runs, ${faults.length} faults in ${seconds} s`);
  let failed = true;
  const stackOptions = () => ({ form, entry: ENTRY, workers: WORKERS.length, keep: () => failed }) as const;
  return withFreshStack(stackOptions, async ({ stack }) => {
    const startedAt = performance.now();
    const sleepers = new Sleepers(await Client.connect({ url: stack.clientUrl }), { runs, seed });
    const ended = sleepers.run();
    const damage = await torment(stack, faults, say);
    sleepers.finish(SETTLE_MAX_MS);
    await ended;
    const report = await reportOf(stack, sleepers, damage);
    failed = report.violations.length > 0;
    return { form, seed, runs, ...report, tookMs: Math.round(performance.now() - startedAt) };
  });
}

async function reportOf(stack: Stack, sleepers: Sleepers, damage: Damage) {
  const verdict = judgeTimers(await readRuns(stack.storeUrl), sleepers.ended);
  const violations = [...sleepers.wrong, ...verdict.violations];
  const { quarantinesEnded } = sleepers;
  return { ...verdict, violations, quarantinesEnded, kills: { ...damage.kills, busWipes: damage.busWipes } };
}

/** Callers of runs that wait. */
class Sleepers {
  readonly ended = new Set<string>();
  readonly wrong: string[] = [];
  quarantinesEnded = 0;
  private readonly open = new Set<string>();
  private readonly random: SeededRandom;
  private untilMs = Infinity;

  constructor(
    private readonly client: Client,
    private readonly options: Pick<TimersOptions, 'runs' | 'seed'>,
  ) {
    this.random = new SeededRandom(options.seed).split('waits');
  }

  async run(): Promise<void> {
    let isOver = false;
    const healing = this.heal(() => isOver);
    await closedLoop({ count: this.options.runs, concurrency: AT_ONCE }, (index) => this.follow(index));
    isOver = true;
    await healing;
    await this.client.close();
  }

  /** What kills have paused is resumed, as a person would do who has read why. */
  private async heal(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await pause(LOOK_EVERY_MS);
      for (const runId of this.open) {
        const view = await this.client.view(runId).catch(() => undefined);
        if (view?.pausedBecause?.startsWith('quarantined') !== true) continue;
        await this.client.resume(runId, 'chaos').then(
          () => (this.quarantinesEnded += 1),
          () => undefined,
        );
      }
    }
  }

  finish(withinMs: number): void {
    this.untilMs = performance.now() + withinMs;
  }

  private async follow(index: number): Promise<void> {
    const waits = Array.from({ length: this.random.integer(1, WAITS_MAX) }, () => ({
      how: HOWS[this.random.integer(0, HOWS.length - 1)],
      ms: this.random.integer(0, WAIT_MS_MAX),
    }));
    const idempotencyKey = `waits-${this.options.seed}-${index}`;
    const started = await this.insist(() => this.client.start('waits', { waits }, { idempotencyKey }));
    if (started === undefined) return void this.wrong.push(`lost: ${idempotencyKey} was never started`);
    this.open.add(started.runId);
    try {
      const output = await this.insist(() => this.client.await(started.runId));
      this.open.delete(started.runId);
      if (output === waits.length) this.ended.add(started.runId);
      else this.wrong.push(`wrong: ${started.runId} gave ${JSON.stringify(output)}`);
    } catch (thrown) {
      if (!(thrown instanceof PerdureError)) throw thrown;
      this.wrong.push(`wrong: ${started.runId} ended with ${thrown.code}: ${thrown.message.slice(0, 200)}`);
    }
  }

  private insist<T>(ask: () => Promise<T>): Promise<T | undefined> {
    return insist(() => this.untilMs, ask);
  }
}
