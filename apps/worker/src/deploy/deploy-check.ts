import { canonicalJson, PerdureError, type Host } from '@perdure/kernel';
import { recordedRun, type RecordedRun } from '@perdure/run-contract';
import type { CandidateBuild } from './candidate';
import { firstLine } from './check-agent';
import { checkRun } from './check-run';
import type { Difference, Verdict } from './verdict';

/** A run that could not be read; `ended`: it is live no more, so that there is nothing to check. */
export interface UnreadRun {
  readonly runId: string;
  readonly problem: string;
  readonly ended: boolean;
}

/** Live runs, each as a line of an export, with their number. */
export interface RunsToCheck {
  readonly total: number;
  readonly runs: AsyncIterable<string | UnreadRun>;
}

/** Runs of one behaviour and build that differ in the same way. */
export interface DifferingGroup {
  readonly name: string;
  readonly kind: string;
  readonly buildId?: string;
  readonly at: Difference;
  readonly runIds: string[];
}

export interface CheckReport {
  /** Its build ids, by pool. */
  readonly candidate: Readonly<Record<string, string>>;
  readonly total: number;
  /** Those that the candidate was really tried on. */
  checked: number;
  same: number;
  /** Of pools that the candidate's workers do not serve. */
  elsewhere: number;
  /** Live when the check began, and not when their turn came. */
  ended: number;
  /** Verdicts that were not found out again, since a run in the same state had been checked. */
  repeated: number;
  readonly different: DifferingGroup[];
  readonly unchecked: { readonly runId: string; readonly why: string }[];
  /** Left for want of time. */
  outOfTime: number;
  tookMs: number;
}

interface CheckOptions {
  readonly host: Host;
  readonly candidate: CandidateBuild;
  readonly budgetMs: number;
}

/** Tries the candidate on every live run until the time is up. */
export async function checkAll({ total, runs }: RunsToCheck, options: CheckOptions): Promise<CheckReport> {
  const check = new DeployCheck(options, total);
  for await (const line of runs) {
    if (check.isOutOfTime) break;
    await check.take(line);
  }
  return check.report();
}

class DeployCheck {
  private readonly startedMs: number;
  private readonly known = new Map<string, Verdict>();
  private readonly groups = new Map<string, DifferingGroup>();
  private readonly result: CheckReport;
  private taken = 0;

  constructor(
    private readonly options: CheckOptions,
    total: number,
  ) {
    this.startedMs = options.host.clock.monotonicMs();
    const counts = { checked: 0, same: 0, elsewhere: 0, ended: 0, repeated: 0, outOfTime: 0, tookMs: 0 };
    this.result = { candidate: options.candidate.buildIds, total, ...counts, different: [], unchecked: [] };
  }

  get isOutOfTime(): boolean {
    return this.leftMs <= 0;
  }

  async take(line: string | UnreadRun): Promise<void> {
    this.taken += 1;
    if (typeof line !== 'string') {
      if (line.ended) this.result.ended += 1;
      else this.result.unchecked.push({ runId: line.runId, why: line.problem });
      return;
    }
    const run = parsed(line);
    if ('why' in run) this.result.unchecked.push(run);
    else await this.check(run);
  }

  report(): CheckReport {
    const { result } = this;
    result.outOfTime = result.total - this.taken;
    result.tookMs = Math.round(this.options.host.clock.monotonicMs() - this.startedMs);
    result.different.push(...this.groups.values());
    return result;
  }

  private async check(run: RecordedRun): Promise<void> {
    const shape = this.shapeOf(run);
    const known = this.known.get(shape);
    const verdict = known ?? (await this.inTime(checkRun(this.options.host, run, this.options.candidate)));
    if (verdict === undefined) {
      this.result.unchecked.push({ runId: run.runId, why: 'the time was up before its code came to rest' });
      return;
    }
    this.known.set(shape, verdict);
    this.result.checked += 1;
    if (known !== undefined) this.result.repeated += 1;
    if (verdict.is === 'different') this.note(run, verdict.at);
    else this.result[verdict.is] += 1;
  }

  private note({ runId, name, kind, buildId }: RecordedRun, at: Difference): void {
    const key = canonicalJson([name, buildId ?? null, { ...at }]);
    const group = this.groups.get(key) ?? { name, kind, ...(buildId === undefined ? {} : { buildId }), at, runIds: [] };
    group.runIds.push(runId);
    this.groups.set(key, group);
  }

  /** All that the verdict depends on. */
  private shapeOf(run: RecordedRun): string {
    const { runId: _, revision: __, buildId: ___, ...shape } = run;
    return this.options.host.digest.sha256(canonicalJson(shape));
  }

  private inTime(verdict: Promise<Verdict>): Promise<Verdict | undefined> {
    return new Promise((resolve, reject) => {
      const cancel = this.options.host.timers.after(Math.max(1, this.leftMs), () => resolve(undefined));
      verdict.then(
        (found) => {
          cancel();
          resolve(found);
        },
        (error: unknown) => {
          cancel();
          reject(error instanceof Error ? error : new Error(String(error)));
        },
      );
    });
  }

  private get leftMs(): number {
    return this.startedMs + this.options.budgetMs - this.options.host.clock.monotonicMs();
  }
}

function parsed(line: string): RecordedRun | { readonly runId: string; readonly why: string } {
  try {
    return recordedRun.parse(JSON.parse(line));
  } catch (thrown) {
    const reason = thrown instanceof PerdureError ? thrown.message : firstLine(thrown);
    return { runId: /"runId":"([^"]{1,64})"/.exec(line)?.[1] ?? 'unknown', why: `it is not a line of an export: ${reason}` };
  }
}
